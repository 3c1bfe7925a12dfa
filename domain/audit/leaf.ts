/**
 * What the tree over the log stands on: one hash for each event, of all that was stored of it. This is a storage format, and
 * `docs/audit-format.md` its specification: verifiers that others have written hash the same bytes.
 */
import { isBatchStream } from '../batch/events.js'
import type { Body, ErasedBody, EventTexts } from '../event.js'
import { NAME_TAKEN } from '../job/events.js'
import { toHex } from './encoding.js'

/** SHA-256: 32 bytes. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

/** Streams of batches are scaffolding that is cleared away, and names that a copy burns were no events of that log. */
export const isLeaf = ({ stream, type }: { readonly stream: string; readonly type: string }): boolean =>
  !isBatchStream(stream) && type !== NAME_TAKEN

const LEAF = 0x00
export const SALT_BYTES = 16
const ABSENT = '-'

type Size = (text: string) => number

const units: Size = (text) => text.length

/** Of its UTF-8. */
function bytesOf(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    bytes += 1
    if (unit < 0x800) continue
    bytes += 1
    const isPair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00
    // Four bytes for its two units: this one has counted for three, the other counts for one.
    if (isPair) index += 1
  }
  return bytes
}

/** Each field behind its length, so that no two events have the same entry. */
function entryOf({ stream, revision, id, type, at, data, metadata }: EventTexts, seal: string, size: Size): string {
  const [place, time] = [`${revision}`, `${at}`]
  const facts = `${size(stream)}:${stream}${place.length}:${place}${size(id)}:${id}${size(type)}:${type}${time.length}:${time}`
  const rest = metadata === undefined ? ABSENT : `${size(metadata)}:${metadata}`
  return `${facts}${size(data)}:${data}${rest}${seal}`
}

/** Keeps the room it works in: one of them hashes a whole log. */
export class LeafHasher {
  readonly #sha256: Sha256
  readonly #encoder = new TextEncoder()
  #room = new Uint8Array(4_096)

  constructor(sha256: Sha256) {
    this.#sha256 = sha256
  }

  /** sha256(0x00 || entry). */
  hash(event: EventTexts): Uint8Array {
    const seal = event.body === undefined ? ABSENT : `64:${toHex(this.seal(event.body))}`
    const text = entryOf(event, seal, units)
    // As many bytes as units: each is one, and the lengths in it are right.
    const written = this.#write(1, text)
    const end = written === text.length ? written : this.#write(1, entryOf(event, seal, bytesOf))
    this.#room[0] = LEAF
    return this.#sha256(this.#room.subarray(0, end + 1))
  }

  /**
   * sha256(salt || content), which is all that is left of a body once it was erased. With a salt of another length the border
   * between the two could be moved: that is no hash that was ever kept.
   */
  seal(body: Body | ErasedBody): Uint8Array {
    if ('hash' in body) return body.hash
    const { salt, content } = body
    if (salt.length !== SALT_BYTES) return this.#sha256(Uint8Array.of(salt.length & 255))
    const start = salt.length
    const end = start + (typeof content === 'string' ? this.#write(start, content) : this.#copy(start, content))
    this.#room.set(salt)
    return this.#sha256(this.#room.subarray(0, end))
  }

  #write(start: number, text: string): number {
    this.#reserve(start + text.length * 3)
    return this.#encoder.encodeInto(text, this.#room.subarray(start)).written
  }

  #copy(start: number, bytes: Uint8Array): number {
    this.#reserve(start + bytes.length)
    this.#room.set(bytes, start)
    return bytes.length
  }

  #reserve(bytes: number): void {
    if (this.#room.length < bytes) this.#room = new Uint8Array(bytes * 2)
  }
}
