/**
 * What the tree over the log stands on: one hash for each event, of all that was stored of it. This is a storage format, and
 * `docs/audit-format.md` its specification: verifiers that others have written hash the same bytes.
 */
import { isBatchStream } from '../batch/events.js'
import type { EventTexts } from '../event.js'
import { NAME_TAKEN } from '../job/events.js'
import { Entries, EntryWriter, SEAL_DIGITS } from './entries.js'

/** SHA-256: 32 bytes, written into `target` from `at` on, where one is given. */
export type Sha256 = (bytes: Uint8Array, target?: Uint8Array, at?: number) => Uint8Array

/** Streams of batches are scaffolding that is cleared away, and names that a copy burns were no events of that log. */
export const isLeaf = ({ stream, type }: { readonly stream: string; readonly type: string }): boolean =>
  !isBatchStream(stream) && type !== NAME_TAKEN

const BATCHES = 'b'.charCodeAt(0)

/** As `isLeaf`, of an entry: hardly ever a text has to be made for it. */
export const isLeafEntry = (entry: Entries): boolean =>
  !entry.hasType(NAME_TAKEN) && !(entry.firstLetter === BATCHES && isBatchStream(entry.stream))

const LEAF = 0x00
export const HASH_BYTES = 32

const NO_EVENT = { position: '', id: '', type: '', at: 0, data: '' }

/** Keeps the room it works in: one of them hashes a whole log. */
export class LeafHasher {
  readonly #sha256: Sha256
  readonly #writer = new EntryWriter()
  readonly #seal = new Uint8Array(HASH_BYTES)
  #room = new Uint8Array(4_096)
  /** Beginnings of the room by their length: making one costs as much as hashing it. */
  #views: Uint8Array[] = []

  constructor(sha256: Sha256) {
    this.#sha256 = sha256
  }

  hash(event: EventTexts): Uint8Array {
    return this.entry(this.#entry(event), new Uint8Array(HASH_BYTES), 0)
  }

  /** sha256(0x00 || place || content): of an event that was removed its place and this hash are left. */
  leaf(stream: string, revision: number, content: Uint8Array): Uint8Array {
    const end = this.#place(this.#entry({ ...NO_EVENT, stream, revision }))
    this.#room.set(content, end)
    return this.#sha256(this.#view(end + HASH_BYTES))
  }

  /** The hash of all but its place. */
  content(event: EventTexts): Uint8Array {
    return this.#content(this.#entry(event), new Uint8Array(HASH_BYTES), 0)
  }

  /** The leaf of the entry at hand, written into `target` from `at` on. */
  entry(entry: Entries, target: Uint8Array, at: number): Uint8Array {
    const end = this.#place(entry)
    this.#content(entry, this.#room, end)
    return this.#sha256(this.#view(end + HASH_BYTES), target, at)
  }

  #entry(event: EventTexts): Entries {
    const entries = new Entries(this.#writer.write([event]))
    entries.next()
    return entries
  }

  /** Where it ends in the room. */
  #place({ bytes, placeFrom, placeTo }: Entries): number {
    this.#reserve(placeTo - placeFrom)
    const room = this.#room
    room[0] = LEAF
    let end = 1
    for (let from = placeFrom; from < placeTo; from += 1) room[end++] = bytes[from] as number
    return end
  }

  #content(entry: Entries, target: Uint8Array, at: number): Uint8Array {
    const { bytes, sealedFrom, sealedTo, contentFrom, contentTo } = entry
    if (sealedFrom !== sealedTo) {
      // sha256(salt || body), which is all that is left of a body once it was erased.
      this.#sha256(bytes.subarray(sealedFrom, sealedTo), this.#seal, 0)
      writeHex(this.#seal, bytes, contentTo - SEAL_DIGITS)
    }
    return this.#sha256(bytes.subarray(contentFrom, contentTo), target, at)
  }

  #view(length: number): Uint8Array {
    this.#views[length] ??= this.#room.subarray(0, length)
    return this.#views[length] as Uint8Array
  }

  #reserve(place: number): void {
    const bytes = 1 + place + HASH_BYTES
    if (this.#room.length >= bytes) return
    this.#room = new Uint8Array(bytes * 2)
    this.#views = []
  }
}

const DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))

function writeHex(bytes: Uint8Array, target: Uint8Array, at: number): void {
  let next = at
  for (const byte of bytes) {
    target[next++] = DIGITS[byte >> 4] as number
    target[next++] = DIGITS[byte & 15] as number
  }
}
