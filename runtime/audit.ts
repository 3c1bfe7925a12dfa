/** What a ledger offers to who does not trust its operator: signed checkpoints, proofs by them, and a check of the whole log. */
import { InvalidOption } from '../domain/errors.js'
import { toHeld, toKeys } from './audit/signer.js'
import type { Signed } from './audit/trail.js'
import type { AuditReport, VerifyProgress } from './audit/verifier.js'
import { readWitnesses } from './audit/witness.js'
import { checkKeys, toCount, toName, toSignal, toText, toTexts } from './checks.js'
import type { Engine } from './engine.js'
import { StoreRefused } from './ports/event-store.js'

/** A signed checkpoint. Whoever is to trust it later keeps `note` where the operator cannot reach it. */
export interface CheckpointInfo {
  /** The C2SP signed note. */
  readonly note: string
  /** How many events it covers. */
  readonly size: number
  /** In base64. */
  readonly root: string
  /** Public key. */
  readonly key: string
  /** When it was signed (ms). */
  readonly at: number
  /** False: nothing was recorded since, this is the last one. */
  readonly isNew: boolean
}

/** A public key that checkpoints of this log were signed with, as the log itself says. */
export interface AuditKey {
  readonly key: string
  readonly checkpoints: number
  /** When with it the first and the last were signed (ms); absent: none yet. */
  readonly first?: number
  readonly last?: number
  /** This process signs with it. */
  readonly own: boolean
}

/** A job with all its events, or one event. */
export type ProveTarget =
  | { readonly job: string }
  | { readonly event: { readonly stream: string; readonly revision: number } }

export interface ProveOptions {
  /** A note from before: the proof also shows that the log has only grown since. */
  readonly since?: string
}

export interface VerifyOptions {
  /** Notes that somebody else has kept. Without one, whoever has the key can have written all of the log anew. */
  readonly held?: readonly string[]
  /** Proofs and exports that somebody else has kept, by their paths: what was written anew since is named, event by event. */
  readonly files?: readonly string[]
  /** Public keys to believe. Default: those that the log itself names. */
  readonly keys?: readonly string[]
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: VerifyProgress) => void
}

const CHECKPOINT_KEYS = new Set(['signal'])
const TARGET_KEYS = new Set(['job', 'event'])
const EVENT_KEYS = new Set(['stream', 'revision'])
const PROVE_KEYS = new Set(['since'])
const VERIFY_KEYS = new Set(['held', 'files', 'keys', 'signal', 'onProgress'])

export class Audit {
  readonly #engine: () => Engine

  constructor(engine: () => Engine) {
    this.#engine = engine
  }

  /**
   * A signed checkpoint over all that is in the log when it is called, on record once this resolves. Throws AuditKeyMissing,
   * InvalidOption, StoreUnavailable, LedgerClosed, or the signal's reason.
   */
  async checkpoint(options: { readonly signal?: AbortSignal } = {}): Promise<CheckpointInfo> {
    const { auditor } = this.#engine()
    checkKeys(options, CHECKPOINT_KEYS, 'audit.checkpoint')
    const { signed, isNew } = await auditor.checkpoint(toSignal(options.signal, 'audit.checkpoint.signal'))
    return infoOf(signed, isNew)
  }

  /**
   * A proof that these events are in the log of the last checkpoint, as a file that needs no ledger to be checked (see
   * docs/audit-format.md). What of a job came after that is counted in its manifest (`later`). Throws ProofUnavailable, LogDiffers, JobUnknown, JobRemoved, NoteUnreadable, InvalidOption, LedgerClosed.
   */
  async prove(target: ProveTarget, options: ProveOptions = {}): Promise<string> {
    const { auditor } = this.#engine()
    checkKeys(target, TARGET_KEYS, 'audit.prove')
    checkKeys(options, PROVE_KEYS, 'audit.prove')
    const since = options.since === undefined ? undefined : toText(options.since, 'audit.prove.since')
    const { job, event } = target as { readonly job?: unknown; readonly event?: unknown }
    if ((job === undefined) === (event === undefined)) {
      throw new InvalidOption('audit.prove', 'an object with either `job` or `event`', target)
    }
    if (job !== undefined) return auditor.proveJob(toName(job, 'audit.prove.job'), since)
    checkKeys(event, EVENT_KEYS, 'audit.prove.event')
    const { stream, revision } = event as { readonly stream?: unknown; readonly revision?: unknown }
    const place = {
      stream: toText(stream, 'audit.prove.event.stream'),
      revision: toCount(revision, 'audit.prove.event.revision', 0),
    }
    return auditor.proveEvent(place, since)
  }

  /**
   * Holds the whole log against its checkpoints, and against those that somebody else holds. Resolves with what was found, also
   * where that is bad. Throws InvalidOption, NoteUnreadable, BundleUnreadable, StoreUnavailable, LedgerClosed, or the signal's reason.
   */
  async verify(options: VerifyOptions = {}): Promise<AuditReport> {
    const { auditor, ports } = this.#engine()
    checkKeys(options, VERIFY_KEYS, 'audit.verify')
    const { held = [], onProgress } = options
    if (!Array.isArray(held)) throw new InvalidOption('audit.verify.held', 'an array of signed notes', held)
    if (onProgress !== undefined && typeof onProgress !== 'function') {
      throw new InvalidOption('audit.verify.onProgress', 'a function', onProgress)
    }
    const keys = toKeys(options.keys, 'audit.verify.keys', ports)
    const paths = toTexts(options.files, 'audit.verify.files') ?? []
    if (paths.length > 0 && ports.files === undefined) throw new StoreRefused('Expected a ledger that can read files.')
    return auditor.verifier.verify({
      held: held.map(toHeld),
      ...(ports.files !== undefined && { witnesses: await readWitnesses(paths, ports.files, ports, keys) }),
      keys,
      signal: toSignal(options.signal, 'audit.verify.signal'),
      onProgress,
    })
  }

  /** Throws LedgerClosed. */
  async keys(): Promise<AuditKey[]> {
    const { auditor } = this.#engine()
    const found = new Map<string, AuditKey>()
    if (auditor.key !== undefined) found.set(auditor.key, { key: auditor.key, checkpoints: 0, own: true })
    for (const { key, at } of await auditor.signed()) {
      const { checkpoints = 0, first = at } = found.get(key) ?? {}
      found.set(key, { key, checkpoints: checkpoints + 1, first, last: at, own: key === auditor.key })
    }
    return [...found.values()]
  }
}

const infoOf = ({ note, size, root, key, at }: Signed, isNew: boolean): CheckpointInfo => ({
  ...{ note, size, root, key, at, isNew },
})
