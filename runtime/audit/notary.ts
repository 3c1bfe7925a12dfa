/** Makes checkpoints: hashes what is new in the log, grows the tree by it, and signs its root. */
import { fromBase64, toBase64 } from '../../domain/audit/encoding.js'
import type { CheckpointSigned } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { HASH_BYTES, LeafHasher } from '../../domain/audit/leaf.js'
import { Frontier } from '../../domain/audit/merkle.js'
import { checkpointText } from '../../domain/audit/note.js'
import type { Position } from '../../domain/event.js'
import type { Clock } from '../ports/clock.js'
import type { LogReader } from '../ports/event-store.js'
import { entriesOf } from '../read/texts.js'
import type { Journal } from '../write/journal.js'
import { begin, keepLeaves, sign } from './commands.js'
import { LogDiffers } from './errors.js'
import type { KeyTools, Signer } from './signer.js'
import { signedNote } from './signer.js'
import { entryFilter, lastSigned, positionOf, type Signed } from './trail.js'

/** Leaves that one event keeps at most: 256 KiB. */
const KEPT_AT_ONCE = 8_192

/**
 * Events hashed before the event loop is let go: about a millisecond. Beside a load of 10,000 jobs/s all that is done for an event here
 * has a budget of 2.2 us (a tenth of what that takes), of which its three hashes are half and reading it is 0.9: see docs/performance.md.
 */
const SLICE = 500

export interface NotaryOptions extends KeyTools {
  readonly log: LogReader
  readonly journal: Journal
  readonly clock: Clock
  /** See Verifier. */
  readonly lingers: boolean
}

/** Who signs, and for what. */
export interface Seal {
  readonly signer: Signer
  readonly origin: string
}

/** A range as it was hashed. */
interface Range {
  readonly begun: number
  readonly tree: Frontier
  readonly from: number
}

export class Notary {
  readonly #options: NotaryOptions

  constructor(options: NotaryOptions) {
    this.#options = options
  }

  /** The checkpoint that covers all there is; the last one if nothing came since. Rejects with the signal's reason, and the store's errors. */
  async checkpoint(seal: Seal, signal?: AbortSignal): Promise<{ readonly signed: Signed; readonly isNew: boolean }> {
    const { log } = this.#options
    for (;;) {
      signal?.throwIfAborted()
      const known = await lastSigned(log)
      if (known !== undefined && (await this.#isCurrent(known))) return { signed: known, isNew: false }
      const begun = await this.#options.journal.submit(begin())
      const end = await positionOf(log, begun)
      // Looked up again: what others sign from now on is seen when this one is to be signed, what they had signed by then only here.
      const last = await lastSigned(log, begun)
      const range = await this.#hash({ begun, end }, last, signal)
      const signed = await this.#sign(range, end, seal)
      if (signed !== undefined) return { signed, isNew: true }
    }
  }

  /** Nothing was recorded since it was signed. */
  async #isCurrent({ revision }: Signed): Promise<boolean> {
    return (await positionOf(this.#options.log, revision)) === (await this.#options.log.head())
  }

  /** Each leaf of the range, kept for good, and the tree with them in it. */
  async #hash(
    { begun, end }: { begun: number; end: Position },
    last: Signed | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Range> {
    const { log, clock, digest, lingers } = this.#options
    const hasher = new LeafHasher(digest.hash)
    const tree = grown(last, digest.hash)
    const from = tree.size
    if (last !== undefined && toBase64(tree.root()) !== last.root) {
      throw new LogDiffers('The last checkpoint is not what was signed: audit.verify tells more.')
    }
    const keeper = new Keeper(begun, from, this.#options.journal)
    // What was removed later is listed.
    const isEntry = await entryFilter(log, lingers && last === undefined)
    for await (const entries of entriesOf(log, { after: last?.end ?? '', until: end })) {
      signal?.throwIfAborted()
      for (let next = 1; entries.next(); next += 1) {
        if (next % SLICE === 0) await new Promise<void>((resolve) => clock.soon(resolve))
        if (!isEntry(entries)) continue
        hasher.entry(entries, keeper.leaves, keeper.end)
        tree.push(keeper.leaves, keeper.end)
        if (keeper.grow()) await keeper.flush()
      }
    }
    await keeper.flush()
    return { begun, tree, from }
  }

  /** Undefined: another one was faster, or what was hashed is not what there was. Nobody has seen this one then. */
  async #sign({ begun, tree, from }: Range, end: Position, { signer, origin }: Seal): Promise<Signed | undefined> {
    const { journal, clock } = this.#options
    const root = tree.root()
    const size = tree.size
    const note = await signedNote(checkpointText({ origin, size, root }), signer, this.#options)
    const data: CheckpointSigned = {
      ...{ begun, from, size, root: toBase64(root), frontier: tree.roots.map(toBase64), note, key: signer.key },
    }
    for (let seen = begun; ; ) {
      for await (const page of this.#options.log.readStream(AUDIT_STREAM, { from: seen + 1, bodies: true })) {
        for (const { type, revision, body } of page) {
          if (type === 'CheckpointSigned') return undefined
          // Who removed them did not know yet that there are checkpoints: leaves of theirs may have been hashed, and are told by nobody.
          if (type === 'JobsRemoved' && body === undefined) return undefined
          seen = revision
        }
      }
      if (await journal.submit(sign(data, seen))) return { ...data, revision: seen + 1, at: clock.now(), end }
    }
  }
}

/** The tree of a checkpoint, to go on from. */
export function grown(
  signed: Pick<Signed, 'size' | 'frontier'> | undefined,
  ...[sha256, onSubtree]: [ConstructorParameters<typeof Frontier>[0], ConstructorParameters<typeof Frontier>[2]?]
): Frontier {
  const roots = (signed?.frontier ?? []).map((text) => fromBase64(text) ?? new Uint8Array(0))
  return new Frontier(sha256, { size: signed?.size ?? 0, roots }, onSubtree)
}

/** Puts leaves together until they are worth an event. */
class Keeper {
  readonly #begun: number
  readonly #journal: Journal
  #from: number
  /** The next leaf goes into it at `end`. */
  readonly leaves: Uint8Array = new Uint8Array(KEPT_AT_ONCE * HASH_BYTES)
  #count = 0

  constructor(begun: number, from: number, journal: Journal) {
    this.#begun = begun
    this.#from = from
    this.#journal = journal
  }

  get end(): number {
    return this.#count * HASH_BYTES
  }

  /** By the leaf that was put there. True: there is no room for more. */
  grow(): boolean {
    this.#count += 1
    return this.#count === KEPT_AT_ONCE
  }

  async flush(): Promise<void> {
    const count = this.#count
    if (count === 0) return
    const data = { begun: this.#begun, from: this.#from, count }
    // What is being stored is not written over.
    await this.#journal.submit(keepLeaves(data, this.leaves.slice(0, count * HASH_BYTES)))
    this.#from += count
    this.#count = 0
  }
}
