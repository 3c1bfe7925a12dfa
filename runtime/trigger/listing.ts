/** Which triggers callers may ask for. */
import { InvalidOption } from '../../domain/errors.js'
import type { TriggerKind } from '../../domain/trigger/schedule.js'
import { TRIGGER_KINDS } from '../../domain/trigger/schedule.js'
import type { TriggerRegistry } from '../../projections/trigger-registry.js'
import { checkKeys, toTexts } from '../checks.js'
import type { TriggerInfo } from './info.js'
import { infoOf } from './info.js'

/** Exact match on each field given. */
export interface TriggerFilter {
  readonly kind?: TriggerKind | readonly TriggerKind[]
  /** Of its jobs. */
  readonly type?: string | readonly string[]
  readonly channel?: string | readonly string[]
  readonly status?: TriggerInfo['status']
}

const FILTER_KEYS = new Set(['kind', 'type', 'channel', 'status'])

/** What makes of all triggers those that fit, in the order in which they were added. Throws InvalidOption. */
export function triggerInfos(filter: TriggerFilter): (registry: TriggerRegistry) => TriggerInfo[] {
  checkKeys(filter, FILTER_KEYS, 'triggers.list')
  const kinds = toTexts(filter.kind, 'triggers.list.kind')
  const odd = kinds?.find((kind) => !(TRIGGER_KINDS as readonly string[]).includes(kind))
  if (odd !== undefined) throw new InvalidOption('triggers.list.kind', `one of ${TRIGGER_KINDS.join(', ')}`, odd)
  const { status } = filter
  if (status !== undefined && status !== 'active' && status !== 'paused')
    throw new InvalidOption('triggers.list.status', '"active" or "paused"', status)
  const types = toTexts(filter.type, 'triggers.list.type')
  const channels = toTexts(filter.channel, 'triggers.list.channel')
  const fits = (info: TriggerInfo): boolean =>
    (kinds?.includes(info.kind) ?? true) &&
    (types?.includes(info.type) ?? true) &&
    (channels?.includes(info.channel) ?? true) &&
    (status === undefined || status === info.status)
  return ({ triggers }) => {
    const infos = [...triggers.values()].map(infoOf).filter(fits)
    return infos.sort((a, b) => a.addedAt - b.addedAt || (a.id < b.id ? -1 : 1))
  }
}
