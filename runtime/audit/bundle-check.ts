/** Whether a file that left a ledger holds together, and what it proves. Needs no ledger. */

import type { BundleKind, BundleLine, Manifest } from '../../domain/audit/bundle.js'
import { readLine, readManifest } from '../../domain/audit/bundle.js'
import { fromBase64, sameBytes, toBase64 } from '../../domain/audit/encoding.js'
import { isLeaf, LeafHasher } from '../../domain/audit/leaf.js'
import type { NodeHash } from '../../domain/audit/merkle.js'
import { isConsistent, nodeHasher, rootByInclusion, rootBySlice, rootOf } from '../../domain/audit/merkle.js'
import type { Checkpoint, VerifierKey } from '../../domain/audit/note.js'
import { parseCheckpoint, parseNote, verifierText } from '../../domain/audit/note.js'
import type { EventTexts } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { AuditFinding } from './findings.js'
import { placeOf, wordsOf } from './findings.js'
import { Redactions } from './redactions.js'
import type { Held, KeyTools } from './signer.js'
import { signedBy } from './signer.js'

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
  /** Events that came after the checkpoint: nothing is proven of them. */
  readonly unsealed: number
  /** Events of the job that came after the checkpoint, as the file says: they are not in it. */
  readonly later: number
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
  readonly #leaves: Uint8Array[] = []
  #manifest: Manifest | undefined
  #checkpoint: Checkpoint | undefined
  #line = 0
  #events = 0
  #placed = 0
  #removed = 0
  #unsealed = 0
  #isEnded = false

  constructor(tools: KeyTools, options: BundleCheckOptions) {
    this.#tools = tools
    this.#options = options
    this.#node = nodeHasher(tools.digest.hash)
    this.#hasher = new LeafHasher(tools.digest.hash)
  }

  /** Throws BundleUnreadable, NoteUnreadable. */
  line(text: string, hashed: () => string): void {
    this.#line += 1
    if (this.#manifest === undefined) {
      this.#manifest = readManifest(text)
      const { checkpoint } = this.#manifest
      if (checkpoint !== undefined) this.#checkpoint = parseCheckpoint(parseNote(checkpoint))
      return
    }
    const read = readLine(text, this.#line)
    if (this.#isEnded) this.#tell('record', `line ${this.#line} stands behind the end`)
    if (read.kind === 'event') this.#take(read)
    else if (read.kind === 'leaf') {
      this.#removed += 1
      this.#leaves.push(read.leaf)
    } else this.#end(read, hashed())
  }

  #take({ event, index, path }: Extract<BundleLine, { kind: 'event' }>): void {
    const { stream, revision } = event
    this.#events += 1
    this.#redactions.follow(event)
    const before = this.#streams.get(stream)
    if (before !== undefined && revision <= before)
      this.#tell('moved', `${wordsOf(event)} stands behind revision ${before}`, event)
    this.#checkGap(event, before)
    this.#checkFilter(event)
    this.#streams.set(stream, revision)
    if (!isLeaf(event)) return
    const leaf = this.#hasher.hash(event)
    if (this.#manifest?.slice !== undefined) this.#leaves.push(leaf)
    if (index === undefined || path === undefined || this.#checkpoint === undefined) {
      if (this.#manifest?.kind === 'proof') this.#tell('record', `${wordsOf(event)} is not proven`, event)
      return
    }
    const { size, root } = this.#checkpoint
    const found = rootByInclusion(this.#node, { leaf, index, size, path })
    if (found !== undefined && sameBytes(found, root)) this.#placed += 1
    else this.#tell('changed', `${wordsOf(event)} is not leaf ${index} of the checkpoint`, event)
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

  /** What is to be a whole stream has no holes. */
  #checkGap(event: EventTexts, before = -1): void {
    if (!isOfJob(this.#manifest) || event.revision <= before + 1) return
    this.#tell('dropped', `what came before ${wordsOf(event)} is not there: revision ${before + 1} is missing`, event)
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

  /** After the last line. Throws NoteUnreadable. */
  report(): BundleReport {
    const manifest = this.#manifest ?? readManifest('')
    if (!this.#isEnded) this.#tell('truncated', `the file ends after line ${this.#line}, without an end`)
    this.#checkOrigin(manifest)
    const key = this.#checkSignature(manifest)
    this.#checkSlice(manifest)
    const held = this.#checkHeld(manifest)
    if (manifest.kind === 'proof' && this.#events === 0) this.#tell('record', 'the file proves nothing')
    if (manifest.slice === undefined && this.#removed > 0)
      this.#tell('record', `${this.#removed} bare leaves are not proven`)
    // Of a part of the log what tells of an erasure may be in another part.
    const findings = [...this.#findings, ...(isOfJob(manifest) ? this.#redactions.findings : [])]
    const { kind, logId } = manifest
    const checkpoint = this.#checkpoint
    const isEach = this.#placed > 0 && this.#placed === this.#events
    return {
      ...{ ok: findings.length === 0, findings, kind, logId, events: this.#events, streams: this.#streams.size },
      ...(checkpoint && { origin: checkpoint.origin, size: checkpoint.size, root: toBase64(checkpoint.root) }),
      proven:
        checkpoint === undefined ? 'nothing' : manifest.slice !== undefined ? 'whole' : isEach ? 'each' : 'nothing',
      ...(key !== undefined && { signedBy: verifierText(key) }),
      ...{ held, erased: this.#redactions.erased, removed: this.#removed, unsealed: this.#unsealed },
      later: manifest.later ?? 0,
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
    const outside = slice.outside.map((hash) => fromBase64(hash) ?? new Uint8Array(0))
    const { size } = checkpoint
    const isSound =
      Number.isSafeInteger(slice.index) && slice.index >= 0 && slice.index < size && this.#leaves.length > 0
    if (!isSound) {
      this.#tell('record', 'its slice covers no leaf of the checkpoint')
      return
    }
    // What came after the checkpoint is in the file, too, but not in the tree.
    this.#unsealed = Math.max(0, slice.index + this.#leaves.length - size)
    this.#leaves.length -= this.#unsealed
    const root = rootBySlice(this.#node, { index: slice.index, leaves: this.#leaves, size, outside })
    if (root !== undefined && sameBytes(root, checkpoint.root)) return
    const what = `the ${this.#leaves.length} leaves from ${slice.index} on`
    const leaves = { from: slice.index, to: slice.index + this.#leaves.length - 1 }
    this.#findings.push({ kind: 'rewritten', message: `${what} are not those of the checkpoint`, leaves })
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
    if (slice?.index === 0 && held.size <= this.#leaves.length) {
      return sameBytes(rootOf(this.#tools.digest.hash, this.#leaves.slice(0, held.size)), held.root)
    }
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

/** A whole stream, from its beginning on. */
function isOfJob(manifest: Manifest | undefined): boolean {
  const filter = manifest?.kind === 'proof' ? manifest.filter : undefined
  return typeof filter === 'object' && filter !== null && 'job' in filter
}
