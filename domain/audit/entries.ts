/**
 * Events as bytes, one after the other, each laid out as it is hashed: what a store hands over so that a long log is hashed
 * without a text or an object for any of its events.
 *
 *     entry  = field(position) || place || sealed || content
 *     sealed = field(salt || body), or '-' where there is no hash to be made
 *
 * Fields, `place` (stream and revision) and `content` are those of docs/audit-format.md. Where `sealed` is a field, the seal that
 * ends the content is 64 zeros in place of its hash. This goes from a store to its reader and is never kept.
 */
import type { Body, ErasedBody, EventTexts } from '../event.js'
import { toHex } from './encoding.js'

export const SALT_BYTES = 16

/** Hex digits of a hash. */
export const SEAL_DIGITS = 64

const ABSENT = '-'
const DASH = 0x2d
const COLON = 0x3a
const ZERO = 0x30
const NO_SEAL_YET = `${SEAL_DIGITS}:${'0'.repeat(SEAL_DIGITS)}`

/** Of the entry that begins at `from`. */
export function textsAt(bytes: Uint8Array, from: number): EntryTexts {
  const entries = new Entries(bytes, from)
  entries.next()
  return entries.texts()
}

/** The last of a page. */
export function lastOf(bytes: Uint8Array): EntryTexts {
  const entries = new Entries(bytes)
  let last = 0
  while (entries.next()) last = entries.from
  return textsAt(bytes, last)
}

/** What an entry tells of its event; of its body only the hash of one that was erased. */
export type EntryTexts = Omit<EventTexts, 'body'> & { readonly body: ErasedBody | undefined }

/**
 * One entry after the other, nothing of it copied. Reading an entry costs some 0.1 us, hashing one three calls of SHA-256; whatever is
 * done for each event beside them counts (budget of `audit.verify`: 5 us an event in all).
 */
export class Entries {
  readonly bytes: Uint8Array
  /** Where the entry at hand begins, and where its parts are. */
  from = 0
  placeFrom = 0
  placeTo = 0
  /** Both the same: nothing to hash. */
  sealedFrom = 0
  sealedTo = 0
  contentFrom = 0
  contentTo = 0
  /** How long the field was that was passed last. */
  #length = 0
  #typeTo = 0
  #typeLength = 0

  /** `from`: where the first entry begins. */
  constructor(bytes: Uint8Array, from = 0) {
    this.bytes = bytes
    this.contentTo = from
  }

  /** False: there are no more. */
  next(): boolean {
    if (this.contentTo === this.bytes.length) return false
    this.from = this.contentTo
    this.placeFrom = this.#pass(this.from)
    this.placeTo = this.#pass(this.#pass(this.placeFrom))
    this.contentFrom = this.#pass(this.placeTo)
    this.sealedTo = this.contentFrom
    this.sealedFrom = this.sealedTo - this.#length
    this.#typeTo = this.#pass(this.#pass(this.contentFrom))
    this.#typeLength = this.#length
    this.contentTo = this.#pass(this.#pass(this.#pass(this.#pass(this.#typeTo))))
    return true
  }

  /** Of the event's stream. */
  get firstLetter(): number {
    let at = this.placeFrom
    while (this.bytes[at] !== COLON) at += 1
    return this.bytes[at + 1] as number
  }

  get stream(): string {
    const to = this.#pass(this.placeFrom)
    return textOf(this.bytes, to - this.#length, to)
  }

  /** `type`: of plain letters. */
  hasType(type: string): boolean {
    if (this.#typeLength !== type.length) return false
    const from = this.#typeTo - type.length
    for (let index = 0; index < type.length; index += 1) {
      if (this.bytes[from + index] !== type.charCodeAt(index)) return false
    }
    return true
  }

  /** Its body was erased. */
  get isErased(): boolean {
    return this.sealedFrom === this.sealedTo && this.bytes[this.contentTo - 1] !== DASH
  }

  texts(): EntryTexts {
    const fields: (string | undefined)[] = []
    for (let at = this.from; at < this.contentTo; ) {
      const isSealed = at === this.placeTo
      const to = this.#pass(at)
      if (!isSealed) fields.push(this.bytes[at] === DASH ? undefined : textOf(this.bytes, to - this.#length, to))
      at = to
    }
    const [position = '', stream = '', revision, id = '', type = '', at, data = '', metadata, seal] = fields
    const body = this.isErased ? { hash: bytesOfHex(seal ?? '') } : undefined
    return { position, stream, revision: Number(revision), id, type, at: Number(at), data, metadata, body }
  }

  /** The end of the field that begins at `at`. */
  #pass(at: number): number {
    const { bytes } = this
    let length = 0
    let next = at
    let digit = bytes[next++] as number
    if (digit === DASH) {
      this.#length = 0
      return next
    }
    while (digit !== COLON) {
      length = length * 10 + digit - ZERO
      digit = bytes[next++] as number
    }
    this.#length = length
    return next + length
  }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

const textOf = (bytes: Uint8Array, from: number, to: number): string => decoder.decode(bytes.subarray(from, to))

const bytesOfHex = (digits: string): Uint8Array =>
  Uint8Array.from({ length: digits.length / 2 }, (_, index) =>
    Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16),
  )

type Size = (text: string) => number

const units: Size = (text) => text.length

/** Of its UTF-8. */
function utf8Size(text: string): number {
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

function placed({ position, stream, revision }: EventTexts, size: Size): string {
  const number = `${revision}`
  return `${size(position)}:${position}${size(stream)}:${stream}${number.length}:${number}`
}

/** All but its place. Each field stands behind its length, so that no two events have the same text. */
function contentOf({ id, type, at, data, metadata }: EventTexts, seal: string, size: Size): string {
  const time = `${at}`
  const facts = `${size(id)}:${id}${size(type)}:${type}${time.length}:${time}${size(data)}:${data}`
  const rest = metadata === undefined ? ABSENT : `${size(metadata)}:${metadata}`
  return `${facts}${rest}${seal}`
}

/** Makes entries of events, where no store does. Keeps the room it works in. */
export class EntryWriter {
  readonly #encoder = new TextEncoder()
  #room = new Uint8Array(4_096)
  #end = 0

  /** As long as nothing else is written. */
  write(events: readonly EventTexts[]): Uint8Array {
    this.#end = 0
    for (const event of events) {
      this.#sized((size) => placed(event, size))
      this.#sealed(event.body)
      const seal = sealOf(event.body)
      this.#sized((size) => contentOf(event, seal, size))
    }
    return this.#room.subarray(0, this.#end)
  }

  #sealed(body: Body | ErasedBody | undefined): void {
    if (body === undefined || 'hash' in body) return this.#text(ABSENT)
    const { salt, content } = body
    // With a salt of another length the border between the two could be moved: that makes no hash that was ever kept.
    if (salt.length !== SALT_BYTES) return this.#bytes(Uint8Array.of(0x31, COLON, salt.length & 255))
    const isText = typeof content === 'string'
    this.#text(`${SALT_BYTES + (isText ? utf8Size(content) : content.length)}:`)
    this.#bytes(salt)
    if (isText) this.#text(content)
    else this.#bytes(content)
  }

  /** As many bytes as units: each is one, and the lengths in it are right. */
  #sized(make: (size: Size) => string): void {
    const from = this.#end
    const text = make(units)
    this.#text(text)
    if (this.#end - from === text.length) return
    this.#end = from
    this.#text(make(utf8Size))
  }

  #text(text: string): void {
    this.#reserve(text.length * 3)
    this.#end += this.#encoder.encodeInto(text, this.#room.subarray(this.#end)).written
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#room.set(bytes, this.#end)
    this.#end += bytes.length
  }

  #reserve(bytes: number): void {
    if (this.#room.length >= this.#end + bytes) return
    const more = new Uint8Array((this.#end + bytes) * 2)
    more.set(this.#room.subarray(0, this.#end))
    this.#room = more
  }
}

function sealOf(body: Body | ErasedBody | undefined): string {
  if (body === undefined) return ABSENT
  if (!('hash' in body)) return NO_SEAL_YET
  const digits = toHex(body.hash)
  return `${digits.length}:${digits}`
}
