/** Documents that a program tells the ledger about. */
import { InvalidOption } from '../../domain/errors.js'
import type { Json } from '../../domain/event.js'
import type { SourceEvent } from '../../domain/trigger/match.js'
import { OWN_TYPES } from '../../projections/own-events.js'
import { checkKeys, toLabel, toName } from '../checks.js'
import { encode } from '../write/codec.js'

/** Something has happened to a document. Triggers of kind `event` whose rules match it fire. */
export interface PublishedEvent {
  /** Of the document, as `orders`. Types that begin with `job/` are the ledger's own. */
  readonly type: string
  /** `CREATED`, `UPDATED` and `DELETED` match rules; any other verb matches none. */
  readonly verb: string
  /** Of the document. */
  readonly id?: string
  /** As it is now. Absent: it was deleted. */
  readonly document?: unknown
  /** As it was. Absent: it was created. */
  readonly old?: unknown
  /** Ids of what contains it, or did: rules that name one of them match, too. */
  readonly within?: readonly string[]
  /** Where tenants are told apart: only triggers of this channel hear of it, and those without a channel. Default ''. */
  readonly channel?: string
  /** The same key again, for the same trigger, makes no second job. Give it where a publish may be repeated. */
  readonly key?: string
}

/** What a trigger made of a published event. */
export interface PublishOutcome {
  readonly triggerId: string
  /** `debounced`: its job comes at the end of the window. `missed`: `reason` says why there is none. */
  readonly outcome: 'fired' | 'debounced' | 'missed'
  readonly jobId?: string
  readonly reason?: string
}

export interface CheckedEvent {
  readonly event: SourceEvent
  readonly channel: string
  readonly key: string | undefined
}

const KEYS = new Set(['type', 'verb', 'id', 'document', 'old', 'within', 'channel', 'key'])

/** Throws InvalidOption, InvalidPayload. */
export function toPublished(given: PublishedEvent, maxBytes: number): CheckedEvent {
  checkKeys(given, KEYS, 'publish')
  const { id, within, channel = '', key } = given
  const type = toName(given.type, 'publish.type')
  if (type.startsWith(OWN_TYPES))
    throw new InvalidOption('publish.type', `a type that does not begin with ${OWN_TYPES}`, type)
  if (within !== undefined && !(Array.isArray(within) && within.every((each) => typeof each === 'string')))
    throw new InvalidOption('publish.within', 'an array of texts', within)
  return {
    event: {
      ...{ type, verb: toName(given.verb, 'publish.verb') },
      ...(id !== undefined && { id: toName(id, 'publish.id') }),
      ...(given.document !== undefined && { document: toJson(given.document, 'publish.document', maxBytes) }),
      ...(given.old !== undefined && { old: toJson(given.old, 'publish.old', maxBytes) }),
      ...(within !== undefined && { within }),
    },
    channel: toLabel(channel, 'publish.channel'),
    key: key === undefined ? undefined : toName(key, 'publish.key'),
  }
}

/** As it will be stored: what the caller does to it later is not heard of. */
function toJson(value: unknown, path: string, maxBytes: number): Json {
  const stored = encode(value, path, maxBytes)
  if (typeof stored === 'string') return JSON.parse(stored) as Json
  throw new InvalidOption(path, 'JSON, no bytes', value)
}
