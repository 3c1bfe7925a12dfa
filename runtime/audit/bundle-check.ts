/** Whether a file that left a ledger holds together, and what it proves. Needs no ledger. */

import type { BundleKind, BundleLine, Manifest } from '../../domain/audit/bundle.js'
import { readLine, readManifest } from '../../domain/audit/bundle.js'
import { fromBase64, sameBytes, toBase64 } from '../../domain/audit/encoding.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { isLeaf, LeafHasher } from '../../domain/audit/leaf.js'
import type { NodeHash, Span } from '../../domain/audit/merkle.js'
import { isConsistent, nodeHasher, rootByInclusion, SliceTree } from '../../domain/audit/merkle.js'
import type { Checkpoint, VerifierKey } from '../../domain/audit/note.js'
import { parseCheckpoint, parseNote, verifierText } from '../../domain/audit/note.js'
import type { EventTexts } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import { contentOf } from './facts.js'
import type { AuditFinding } from './findings.js'
import { placeOf, wordsOf } from './findings.js'
import { LeafSet } from './leaf-set.js'
import { Redactions } from './redactions.js'
import { RemovedStreams } from './removed-streams.js'
import type { Held, KeyTools } from './signer.js'
import { signedBy } from './signer.js'
import { type KeptPage, keptIn } from './slice-locator.js'

export interface BundleReport {
  readonly ok: boolean
  readonly findings: readonly AuditFinding[]
  readonly kind: BundleKind
  readonly logId: string
  readonly events: number
  readonly streams: number
  /** Of the checkpoint that the file comes with; absent where it has none. */
  readonly origin?: string
  readonly size?: number
  readonly root?: string
  /** `each`: every event is in the tree of that checkpoint. `whole`: together they are the leaves from one to another, without a gap. */
  readonly proven: 'each' | 'whole' | 'nothing'
  /** The key of those given that has signed the checkpoint. */
  readonly signedBy?: string
  /** Checkpoints held that the file's grew out of, or is. */
  readonly held: number
  readonly erased: number
  /** Leaves of events that were removed. */
  readonly removed: number
  /** Events, the last ones, that came after the checkpoint, as the file says: nothing is proven of them. */
  readonly unsealed: number
  /** Events that are in no tree, of whatever log: scaffolding of batches. */
  readonly uncovered: number
  /** Events of the job that came after the checkpoint, as the file says: they are not in it. */
  readonly later: number
  /** Why nothing is proven, in the words of who made the file. */
  readonly unproven?: string
}

export interface BundleCheckOptions {
  readonly held: readonly Held[]
  readonly keys: readonly VerifierKey[] | undefined
}

/** Takes the lines of a file one after the other. `hashed`: SHA-256 in hex of all bytes before the line. */
export class BundleCheck {
  readonly #tools: KeyTools
  readonly #options: BundleCheckOptions
  readonly #node: NodeHash
  readonly #hasher: LeafHasher
  readonly #redactions = new Redactions()
  readonly #findings: AuditFinding[] = []
  readonly #streams = new Map<string, number>()
  /** Roots of what begins with the first leaf, by size: for the checkpoints held. */
  readonly #beginnings = new Map<number, Uint8Array | undefined>()
  /** Leaf hashes that the file itself has of what was signed. */
  readonly kept: KeptPage[] = []
  /** Of a whole log: bare leaves, and those that its removals account for. */
  readonly #bare = new LeafSet()
  readonly #removals: RemovedStreams
  #slice: SliceTree | undefined
  #differs = false
  #manifest: Manifest | undefined
  #checkpoint: Checkpoint | undefined
  #line = 0
  #events = 0
  #placed = 0
  #removed = 0
  #uncovered = 0
  #unsealed = 0
  #isEnded = false

  constructor(tools: KeyTools, options: BundleCheckOptions) {
    this.#tools = tools
    this.#options = options
    this.#node = nodeHasher(tools.digest.hash)
    this.#hasher = new LeafHasher(tools.digest.hash)
    this.#removals = new RemovedStreams(tools.digest.hash)
  }

  /** Throws BundleUnreadable, NoteUnreadable. */
  line(text: string, hashed: () => string): void {
    this.#line += 1
    if (this.#manifest === undefined) {
      this.#begin(readManifest(text))
      return
    }
    const read = readLine(text, this.#line)
    if (this.#isEnded) this.#tell('record', `line ${this.#line} stands behind the end`)
    if (read.kind === 'event') this.#take(read)
    else if (read.kind === 'leaf') this.#takeBare(read)
    else this.#end(read, hashed())
  }

  #begin(manifest: Manifest): void {
    this.#manifest = manifest
    const { checkpoint, slice } = manifest
    if (checkpoint === undefined) return
    this.#checkpoint = parseCheckpoint(parseNote(checkpoint))
    if (slice === undefined) return
    const { index } = slice
    if (Number.isSafeInteger(index) && index >= 0 && index < this.#checkpoint.size)
      this.#slice = new SliceTree(this.#tools.digest.hash, index)
  }

  #takeBare({ index, leaf }: Extract<BundleLine, { kind: 'leaf' }>): void {
    this.#removed += 1
    if (isWholeLog(this.#manifest)) this.#bare.add(leaf)
    const expected = (this.#slice?.to ?? 0) + this.#unsealed
    if (this.#slice !== undefined && index !== expected)
      this.#tell('moved', `line ${this.#line} is said to be leaf ${index}, and stands where leaf ${expected} does`)
    this.#grow(leaf)
  }

  /** Part of the slice, unless it came after the checkpoint. */
  #grow(leaf: Uint8Array): void {
    const slice = this.#slice
    if (slice === undefined) return
    if (slice.to >= (this.#checkpoint as Checkpoint).size) {
      this.#unsealed += 1
      return
    }
    slice.push(leaf)
    if (slice.from === 0 && this.#options.held.some(({ checkpoint }) => checkpoint.size === slice.to))
      this.#beginnings.set(slice.to, slice.root(slice.to, []))
  }

  #take({ event, index, path }: Extract<BundleLine, { kind: 'event' }>): void {
    const { stream, revision } = event
    this.#events += 1
    this.#redactions.follow(event)
    if (isWholeLog(this.#manifest)) this.#noteRemoval(event)
    const before = this.#streams.get(stream)
    if (before !== undefined && revision <= before)
      this.#tell('moved', `${wordsOf(event)} stands behind revision ${before}`, event)
    this.#checkGap(event, before)
    this.#checkFilter(event)
    this.#streams.set(stream, revision)
    const { kind, slice } = this.#manifest as Manifest
    if (!isLeaf(event)) {
      this.#uncovered += 1
      if (kind === 'proof') this.#tell('record', `${wordsOf(event)} is in no tree: nothing proves it`, event)
      return
    }
    const leaf = this.#hasher.hash(event)
    if (slice !== undefined) {
      this.#grow(leaf)
      const kept = keptIn(event)
      if (kept !== undefined) this.kept.push(kept)
      if (kind !== 'proof') return
    }
    if (index === undefined || path === undefined || this.#checkpoint === undefined) this.#takeUnproven(event)
    else this.#place(event, { leaf, index, path }, this.#checkpoint)
  }

  #noteRemoval(event: EventTexts): void {
    const hashes = event.stream === AUDIT_STREAM && event.type === 'JobsRemoved' ? contentOf(event) : undefined
    if (hashes !== undefined && !this.#removals.add(event, hashes))
      this.#tell('record', `${wordsOf(event)} does not hold as many hashes as it says of the jobs that it names`, event)
  }

  /** A whole log says itself what has left it. */
  #checkBare(): void {
    this.#bare.close()
    this.#removals.close()
    const hidden = this.#bare.countBeyond(this.#removals.leaves)
    if (hidden > 0)
      this.#tell('dropped', `${hidden} of ${this.#removed} bare leaves are of no job that was removed on record`)
  }

  #place(
    event: EventTexts,
    place: { leaf: Uint8Array; index: number; path: readonly Uint8Array[] },
    { size, root }: Checkpoint,
  ): void {
    if (this.#unsealed > 0)
      this.#tell('record', `${wordsOf(event)} is proven, and stands behind what is said to have come after`, event)
    const found = rootByInclusion(this.#node, { ...place, size })
    if (found !== undefined && sameBytes(found, root)) this.#placed += 1
    else this.#tell('changed', `${wordsOf(event)} is not leaf ${place.index} of the checkpoint`, event)
  }

  #takeUnproven(event: EventTexts): void {
    if (this.#manifest?.kind === 'proof') this.#tell('record', `${wordsOf(event)} is not proven`, event)
    else if (this.#checkpoint !== undefined) this.#unsealed += 1
  }

  /** What the file says that it proves is what it proves. */
  #checkFilter(event: EventTexts): void {
    const { kind, filter } = this.#manifest as Manifest
    const { job, event: place } = (kind === 'proof' ? (filter ?? {}) : {}) as {
      job?: string
      event?: Partial<EventTexts>
    }
    const isOther =
      (job !== undefined && event.stream !== jobStream(job)) ||
      (place !== undefined && (event.stream !== place.stream || event.revision !== place.revision))
    if (isOther) this.#tell('record', `${wordsOf(event)} is not what the file says that it proves`, event)
  }

  /** What is to be a whole stream has no holes, nor has a stream in a slice, which has all leaves: a job goes as a whole. */
  #checkGap(event: EventTexts, before: number | undefined): void {
    const { slice } = this.#manifest as Manifest
    const isOne = isOfJob(this.#manifest)
    if (!isOne && (slice === undefined || !isLeaf(event))) return
    const due = before === undefined ? (isOne || slice?.index === 0 ? 0 : event.revision) : before + 1
    if (event.revision <= due) return
    this.#tell('dropped', `what came before ${wordsOf(event)} is not there: revision ${due} is missing`, event)
  }

  #end({ events, sha256 }: Extract<BundleLine, { kind: 'end' }>, hashed: string): void {
    this.#isEnded = true
    if (sha256 !== hashed)
      this.#tell('changed', `the file is not as it was written: its bytes hash to ${hashed}, its end says ${sha256}`)
    const { events: announced, streams } = this.#manifest as Manifest
    if (events !== this.#events || announced !== this.#events || streams !== this.#streams.size) {
      const found = `${this.#events} events of ${this.#streams.size} streams`
      this.#tell('record', `the file announces ${announced} events of ${streams} streams, and holds ${found}`)
    }
  }

  /** Of a slice that is not that of the checkpoint: which events differ, `SliceLocator` may tell. */
  get differing(): Span | undefined {
    const slice = this.#slice
    return this.#differs && slice !== undefined ? { from: slice.from, to: slice.to } : undefined
  }

  /** That it comes with. */
  get note(): string | undefined {
    return this.#manifest?.checkpoint
  }

  /** After the last line. Throws NoteUnreadable. */
  report(): BundleReport {
    const manifest = this.#manifest ?? readManifest('')
    if (!this.#isEnded) this.#tell('truncated', `the file ends after line ${this.#line}, without an end`)
    this.#checkOrigin(manifest)
    const key = this.#checkSignature(manifest)
    this.#checkSlice(manifest)
    this.#checkUnsealed(manifest)
    this.#checkBare()
    const held = this.#checkHeld(manifest)
    if (manifest.kind === 'proof' && this.#events === 0) this.#tell('record', 'the file proves nothing')
    if (this.#slice === undefined && this.#removed > 0)
      this.#tell('record', `${this.#removed} bare leaves are not proven`)
    // Of a part of the log what tells of an erasure may be in another part.
    const findings = [...this.#findings, ...(isOfJob(manifest) ? this.#redactions.findings : [])]
    const { kind, logId } = manifest
    const checkpoint = this.#checkpoint
    return {
      ...{ ok: findings.length === 0, findings, kind, logId, events: this.#events, streams: this.#streams.size },
      ...(checkpoint && { origin: checkpoint.origin, size: checkpoint.size, root: toBase64(checkpoint.root) }),
      proven: this.#slice !== undefined ? 'whole' : this.#placed > 0 ? 'each' : 'nothing',
      ...(key !== undefined && { signedBy: verifierText(key) }),
      ...{ held, erased: this.#redactions.erased, removed: this.#removed, unsealed: this.#unsealed },
      ...{ uncovered: this.#uncovered, later: Number(manifest.later ?? 0) },
      ...(manifest.unproven !== undefined && { unproven: `${manifest.unproven}` }),
    }
  }

  #checkOrigin({ origin }: Manifest): void {
    const signed = this.#checkpoint?.origin
    if (origin === undefined || signed === undefined || origin === signed) return
    this.#tell('record', `the file is said to be of ${origin}, its checkpoint is of ${signed}`)
  }

  #checkSignature({ checkpoint }: Manifest): VerifierKey | undefined {
    const { keys } = this.#options
    if (checkpoint === undefined || keys === undefined) return undefined
    const key = signedBy(parseNote(checkpoint), keys, this.#tools)
    if (key === undefined) this.#tell('signature', 'the checkpoint was not signed with any of the keys given')
    return key
  }

  #checkSlice({ slice }: Manifest): void {
    const checkpoint = this.#checkpoint
    if (slice === undefined || checkpoint === undefined) return
    const tree = this.#slice
    if (tree === undefined || tree.from === tree.to) {
      this.#tell('record', 'its slice covers no leaf of the checkpoint')
      return
    }
    const outside = slice.outside.map((hash) => fromBase64(hash) ?? new Uint8Array(0))
    const root = tree.root(checkpoint.size, outside)
    if (root !== undefined && sameBytes(root, checkpoint.root)) return
    this.#differs = true
    const what = `the ${tree.to - tree.from} leaves from ${tree.from} on`
    const leaves = { from: tree.from, to: tree.to - 1 }
    this.#findings.push({ kind: 'rewritten', message: `${what} are not those of the checkpoint`, leaves })
  }

  /** What has no path is said to have come after the checkpoint, and stands last. */
  #checkUnsealed({ kind, slice, unsealed = 0 }: Manifest): void {
    if (kind !== 'export' || slice !== undefined || this.#unsealed === unsealed) return
    const found = `${this.#unsealed} events have no path`
    this.#tell('record', `${found}, and the file says that ${unsealed} came after the checkpoint`)
  }

  /** How many of the checkpoints held belong to the file's. */
  #checkHeld(manifest: Manifest): number {
    const checkpoint = this.#checkpoint
    let count = this.#options.held.length
    for (const { note, checkpoint: held } of this.#options.held) {
      const name = `the checkpoint held of ${held.size} leaves`
      const { keys } = this.#options
      if (keys !== undefined && signedBy(parseNote(note), keys, this.#tools) === undefined) {
        this.#tell('signature', `${name} was not signed with any of the keys given`)
      }
      const belongs = checkpoint !== undefined && this.#belongs(held, checkpoint, manifest)
      if (belongs === true) continue
      count -= 1
      if (belongs === false) this.#tell('rewritten', `${name} is not the beginning of the file's checkpoint`)
      else this.#tell('record', `nothing in the file says how it follows from ${name}: ask for a proof since that one`)
    }
    return count
  }

  /** undefined: the file does not say. */
  #belongs(held: Checkpoint, now: Checkpoint, { consistency, slice }: Manifest): boolean | undefined {
    if (held.origin !== now.origin) return false
    if (held.size === now.size) return sameBytes(held.root, now.root)
    const beginning = slice?.index === 0 ? this.#beginnings.get(held.size) : undefined
    if (beginning !== undefined) return sameBytes(beginning, held.root)
    const from = consistency && parseCheckpoint(parseNote(consistency.from))
    if (consistency === undefined || from?.size !== held.size) return undefined
    const proof = consistency.proof.map((hash) => fromBase64(hash) ?? new Uint8Array(0))
    const trees = { old: held.size, oldRoot: held.root, size: now.size, root: now.root, proof }
    return sameBytes(from.root, held.root) && isConsistent(this.#node, trees)
  }

  #tell(kind: AuditFinding['kind'], message: string, event?: EventTexts): void {
    this.#findings.push({ kind, message, ...(event && placeOf(event)) })
  }
}

function isWholeLog(manifest: Manifest | undefined): boolean {
  return manifest?.kind === 'export' && manifest.filter === undefined && manifest.slice?.index === 0
}

/** A whole stream, from its beginning on. */
function isOfJob(manifest: Manifest | undefined): boolean {
  const filter = manifest?.kind === 'proof' ? manifest.filter : undefined
  return typeof filter === 'object' && filter !== null && 'job' in filter
}
