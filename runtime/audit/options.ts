import { parseSignerKey } from '../../domain/audit/note.js'
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import { checkKeys } from '../checks.js'
import type { Signer } from './signer.js'
import { toOrigin } from './signer.js'

export interface AuditOptions {
  /** The private key as `jobledger audit keys generate` writes it, or a signer that keeps it elsewhere. */
  readonly key: string | Signer
  /** What the checkpoints say whose log it is. Default: the name of the key. */
  readonly origin?: string
  /** How often a started ledger makes a checkpoint, if there is something new. Default 10 min; false: only when it is asked to. */
  readonly every?: Duration | false
}

/** Those options, as far as they can be checked before anything is open. */
export interface AuditSettings {
  readonly key: string | Signer
  readonly origin: string | undefined
  /** undefined: never. */
  readonly everyMs: number | undefined
}

const KEYS = new Set(['key', 'origin', 'every'])
const DEFAULT_EVERY = 600_000
const SHORTEST = 1_000

/** Throws InvalidOption. */
export function toAuditSettings(given: AuditOptions | undefined): AuditSettings | undefined {
  if (given === undefined) return undefined
  checkKeys(given, KEYS, 'openLedger.audit')
  const { key, origin, every = DEFAULT_EVERY } = given
  // Whether it is a key at all; its id is looked at later.
  if (typeof key !== 'object' || key === null) parseSignerKey(key, 'openLedger.audit.key')
  return {
    key,
    origin: origin === undefined ? undefined : toOrigin(origin, 'openLedger.audit.origin'),
    everyMs: every === false ? undefined : toEvery(every),
  }
}

function toEvery(every: Duration): number {
  const ms = toMs(every, 'openLedger.audit.every')
  if (ms >= SHORTEST) return ms
  throw new InvalidOption('openLedger.audit.every', 'a duration of at least 1 s, or false', every)
}
