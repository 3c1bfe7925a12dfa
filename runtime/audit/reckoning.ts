/** The tree as the kept leaf hashes make it, held against what was signed of it. */
import { sameBytes, toBase64 } from '../../domain/audit/encoding.js'
import { NoteUnreadable } from '../../domain/audit/errors.js'
import type { CheckpointSigned, LeavesHashed } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { HASH_BYTES, type Sha256 } from '../../domain/audit/leaf.js'
import { Frontier, wholesOf } from '../../domain/audit/merkle.js'
import type { Checkpoint } from '../../domain/audit/note.js'
import { parseCheckpoint, parseNote } from '../../domain/audit/note.js'
import type { EventTexts, Position } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import type { LogReader } from '../ports/event-store.js'
import { textsOf } from '../read/texts.js'
import { contentOf, factsOf } from './facts.js'
import type { AuditFinding } from './findings.js'
import { leavesWords, placeOf } from './findings.js'
import { grown } from './notary.js'
import { RemovedStreams } from './removed-streams.js'
import type { Held } from './signer.js'

/** Of one signed checkpoint, what its range has: by which event it was begun, and how many leaves it came to. */
interface SignedRange {
  readonly begun: number
  readonly from: number
  readonly size: number
}

/** Where the kept leaves begin: those before cannot be read. */
interface Base {
  readonly size: number
  /** Position of the last event before. */
  readonly end: Position
}

export interface Reckoning {
  readonly tree: Frontier
  readonly base: Base
  readonly checkpoints: number
  readonly ranges: readonly SignedRange[]
  /** The last one of the log. */
  readonly last: Checkpoint | undefined
  /** Public keys that the log says its checkpoints were signed with. */
  readonly keys: readonly string[]
  readonly removed: RemovedStreams
  readonly removals: number
}

/** Kept leaves of checkpoints that are not signed yet, by the revision of what began them. */
type Attempts = Map<number, Uint8Array[]>

export class Reckoner {
  #tree: Frontier
  readonly #held: readonly Held[]
  readonly #check: (note: string, where: EventTexts) => AuditFinding | undefined
  #ranges: SignedRange[] = []
  #base: Base = { size: 0, end: START }
  #checkpoints = 0
  readonly #sha256: Sha256
  /** Files of the archive are lost, and with them perhaps a part of the stream. */
  readonly #mayHaveGaps: boolean
  #next = 0
  /** Behind a gap: how many leaves were known before it, and what was begun since. */
  #gap: { readonly size: number; readonly begun: Map<number, Position> } | undefined
  readonly #keys = new Set<string>()
  readonly #removed: RemovedStreams
  readonly findings: AuditFinding[] = []
  #attempts: Attempts = new Map()
  #last: Checkpoint | undefined
  #removals = 0
  /** From here on nothing can fit any more: the first is told. */
  #isBroken = false

  constructor(
    sha256: Sha256,
    held: readonly Held[],
    check: (note: string, where: EventTexts) => AuditFinding | undefined,
    isLost?: (segment: string) => boolean,
  ) {
    this.#sha256 = sha256
    this.#tree = new Frontier(sha256)
    this.#removed = new RemovedStreams(sha256, isLost)
    this.#mayHaveGaps = isLost !== undefined
    this.#held = held
    this.#check = check
  }

  async read(log: LogReader, signal: AbortSignal | undefined): Promise<Reckoning> {
    for await (const page of textsOf(log, { stream: AUDIT_STREAM })) {
      signal?.throwIfAborted()
      for (const event of page) this.#take(event)
    }
    this.#removed.close()
    return { ...this.#state(), keys: [...this.#keys] }
  }

  #state(): Omit<Reckoning, 'keys'> {
    return {
      ...{ tree: this.#tree, ranges: this.#ranges, last: this.#last, base: this.#base, checkpoints: this.#checkpoints },
      ...{ removed: this.#removed, removals: this.#removals },
    }
  }

  #take(event: EventTexts): void {
    const { type, revision, position } = event
    if (this.#mayHaveGaps && revision > this.#next) this.#begin({ size: this.#tree.size, begun: new Map() })
    this.#next = revision + 1
    if (type === 'CheckpointBegun') this.#gap?.begun.set(revision, position)
    else if (type === 'LeavesHashed') this.#keep(event)
    else if (type === 'CheckpointSigned') this.#sign(event)
    else if (type === 'JobsRemoved') this.#remove(event)
  }

  #remove(event: EventTexts): void {
    this.#removals += 1
    const hashes = contentOf(event)
    // As long as nobody has made a checkpoint.
    if (hashes === undefined) return
    if (!this.#removed.add(event, hashes)) {
      this.#tell(event, 'does not hold as many hashes of events as it says of the jobs that it names')
    }
  }

  #keep(event: EventTexts): void {
    const facts = factsOf<LeavesHashed>(event)
    const leaves = contentOf(event)
    if (facts === undefined || leaves === undefined || leaves.length !== facts.count * HASH_BYTES) {
      this.#tell(event, 'does not hold the leaf hashes that it says it does')
      return
    }
    const attempt = this.#attempts.get(facts.begun)
    if (attempt === undefined) this.#attempts.set(facts.begun, [leaves])
    else attempt.push(leaves)
  }

  #sign(event: EventTexts): void {
    const facts = factsOf<CheckpointSigned>(event)
    const signed = facts && readNote(facts.note)
    if (facts === undefined || signed === undefined) {
      this.#tell(event, 'holds no signed note')
      return
    }
    this.#checkpoints += 1
    if (this.#gap !== undefined) {
      this.#resume(facts, signed, event, this.#gap)
      return
    }
    const from = this.#tree.size
    for (const leaves of this.#attempts.get(facts.begun) ?? []) this.#grow(leaves)
    this.#attempts = new Map()
    this.#ranges.push({ begun: facts.begun, from, size: this.#tree.size })
    this.#accept(facts, signed, event, from)
  }

  #begin(gap: { readonly size: number; readonly begun: Map<number, Position> }): void {
    this.#gap = { ...gap, size: this.#gap?.size ?? gap.size }
    this.#attempts = new Map()
  }

  /** Kept leaves before this one are not there: from here on the tree grows out of what the checkpoint says of itself. */
  #resume(
    facts: CheckpointSigned,
    signed: Checkpoint,
    event: EventTexts,
    gap: { readonly size: number; readonly begun: ReadonlyMap<number, Position> },
  ): void {
    this.#attempts = new Map()
    const end = gap.begun.get(facts.begun)
    if (end === undefined) return
    if (wholesOf({ from: 0, to: facts.size }).length !== facts.frontier.length) {
      this.#tell(event, 'does not say of what its tree is made')
      return
    }
    this.#tree = grown(facts, this.#sha256)
    this.#ranges = []
    this.#base = { size: facts.size, end }
    this.#gap = undefined
    this.#accept(facts, signed, event, 0)
    this.#compareHeld()
    for (const { checkpoint } of this.#held) {
      if (checkpoint.size <= gap.size || checkpoint.size >= facts.size) continue
      const message = `the checkpoint held of ${checkpoint.size} leaves cannot be compared: the hashes of those leaves are missing`
      this.findings.push({ kind: 'missing', message })
    }
  }

  #accept(facts: CheckpointSigned, signed: Checkpoint, event: EventTexts, from: number): void {
    this.#keys.add(facts.key)
    this.#last = signed
    const unsigned = this.#check(facts.note, event)
    if (unsigned !== undefined) this.findings.push(unsigned)
    this.#compare(signed, event, from)
  }

  #compare(signed: Checkpoint, event: EventTexts, from: number): void {
    const { size } = this.#tree
    const fits = signed.size === this.#tree.size && sameBytes(signed.root, this.#tree.root())
    if (fits || this.#isBroken) return
    this.#isBroken = true
    const to = Math.max(size, signed.size) - 1
    this.findings.push({
      kind: 'rewritten',
      message: `${leavesWords(from, to)} are not what was signed at revision ${event.revision} of ${AUDIT_STREAM}: the kept hashes make ${toBase64(this.#tree.root())} of ${size} leaves, the checkpoint has ${toBase64(signed.root)} of ${signed.size}`,
      leaves: { from, to },
      ...placeOf(event),
    })
  }

  #grow(leaves: Uint8Array): void {
    for (let at = 0; at < leaves.length; at += HASH_BYTES) this.push(leaves, at)
  }

  /** What somebody holds of a tree of this size has to be what this one is. */
  push(leaves: Uint8Array, at = 0): void {
    this.#tree.push(leaves, at)
    this.#compareHeld()
  }

  #compareHeld(): void {
    const { size } = this.#tree
    for (const { checkpoint } of this.#held) {
      if (checkpoint.size !== size || sameBytes(checkpoint.root, this.#tree.root())) continue
      this.findings.push({
        kind: 'rewritten',
        message: `the first ${size} leaves are not those of the checkpoint held: they make ${toBase64(this.#tree.root())}, it has ${toBase64(checkpoint.root)}`,
        leaves: { from: this.#fits(size), to: size - 1 },
      })
    }
  }

  /** Up to where a smaller checkpoint that is held does fit. */
  #fits(size: number): number {
    const broken = this.findings.some(({ kind }) => kind === 'rewritten')
    const smaller = this.#held.map(({ checkpoint }) => checkpoint.size).filter((each) => each < size)
    return broken ? 0 : Math.max(0, ...smaller)
  }

  #tell(event: EventTexts, what: string): void {
    const { stream, revision, type } = event
    this.findings.push({
      kind: 'record',
      message: `${type} at revision ${revision} of ${stream} ${what}`,
      ...placeOf(event),
    })
  }
}

/** Pages of kept leaves, in the order of the tree. */
export async function* keptLeaves(
  log: LogReader,
  ranges: readonly SignedRange[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const signed = new Set(ranges.map(({ begun }) => begun))
  for await (const page of textsOf(log, { stream: AUDIT_STREAM })) {
    for (const event of page) {
      if (event.type !== 'LeavesHashed' || !signed.has(factsOf<LeavesHashed>(event)?.begun ?? -1)) continue
      const leaves = contentOf(event)
      if (leaves !== undefined) yield leaves
    }
  }
}

function readNote(note: unknown): Checkpoint | undefined {
  try {
    return parseCheckpoint(parseNote(note))
  } catch (error) {
    if (error instanceof NoteUnreadable) return undefined
    throw error
  }
}
