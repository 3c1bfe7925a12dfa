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
export const HASH_BYTES = 32
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

/** All but its place. Each field stands behind its length, so that no two events have the same text. */
function contentOf({ id, type, at, data, metadata }: EventTexts, seal: string, size: Size): string {
  const time = `${at}`
  const facts = `${size(id)}:${id}${size(type)}:${type}${time.length}:${time}${size(data)}:${data}`
  const rest = metadata === undefined ? ABSENT : `${size(metadata)}:${metadata}`
  return `${facts}${rest}${seal}`
}

function placeOf(stream: string, revision: number, size: Size): string {
  const place = `${revision}`
  return `${size(stream)}:${stream}${place.length}:${place}`
}

/** Keeps the room it works in: one of them hashes a whole log. */
export class LeafHasher {
  readonly #sha256: Sha256
  readonly #encoder = new TextEncoder()
  #room = new Uint8Array(4_096)

  constructor(sha256: Sha256) {
    this.#sha256 = sha256
  }

  hash(event: EventTexts): Uint8Array {
    return this.leaf(event.stream, event.revision, this.content(event))
  }

  /** sha256(0x00 || place || content): of an event that was removed its place and this hash are left. */
  leaf(stream: string, revision: number, content: Uint8Array): Uint8Array {
    const end = 1 + this.#writeSized(1, (size) => placeOf(stream, revision, size))
    this.#reserve(end + content.length)
    this.#room[0] = LEAF
    this.#room.set(content, end)
    return this.#sha256(this.#room.subarray(0, end + content.length))
  }

  /** The hash of all but its place. */
  content(event: EventTexts): Uint8Array {
    const seal = event.body === undefined ? ABSENT : `64:${toHex(this.seal(event.body))}`
    const end = this.#writeSized(0, (size) => contentOf(event, seal, size))
    return this.#sha256(this.#room.subarray(0, end))
  }

  /** As many bytes as units: each is one, and the lengths in it are right. */
  #writeSized(start: number, make: (size: Size) => string): number {
    const text = make(units)
    const written = this.#write(start, text)
    return written === text.length ? written : this.#write(start, make(bytesOf))
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
    if (this.#room.length >= bytes) return
    const more = new Uint8Array(bytes * 2)
    more.set(this.#room)
    this.#room = more
  }
}
