import type { RecordedEvent } from '../../domain/event.js'
import type { Digest } from '../ports/digest.js'

/** What a log has in it, told by what does not depend on the store: positions and the log's own id do. */
export interface Counts {
  readonly events: number
  readonly streams: number
  /** Events by the kind of their stream: `job`, `trigger`, `worker`, `queue`, `audit` ... */
  readonly kinds: Readonly<Record<string, number>>
  readonly types: Readonly<Record<string, number>>
  readonly bodies: number
  /** Bodies of which only the hash is left. */
  readonly erased: number
  /** Over all of it, in order: two logs with the same one have the same events. */
  readonly hash: string
}

/** Counts events in order, and hashes them: each hash is over the one before it and one more event. */
export class Tally {
  readonly #digest: Digest
  readonly #kinds = new Map<string, number>()
  readonly #types = new Map<string, number>()
  #hash = ''
  #events = 0
  #streams = 0
  #bodies = 0
  #erased = 0

  constructor(digest: Digest) {
    this.#digest = digest
  }

  get events(): number {
    return this.#events
  }

  get hash(): string {
    return this.#hash
  }

  add(event: RecordedEvent): void {
    const { stream, type, revision, body } = event
    this.#events += 1
    if (revision === 0) this.#streams += 1
    if (body !== undefined) this.#bodies += 1
    if (body !== undefined && 'hash' in body) this.#erased += 1
    count(this.#kinds, kindOf(stream))
    count(this.#types, type)
    this.#hash = this.#digest.sha256(this.#hash, ...partsOf(event))
  }

  counts(): Counts {
    return {
      ...{ events: this.#events, streams: this.#streams, bodies: this.#bodies, erased: this.#erased },
      kinds: Object.fromEntries(this.#kinds),
      types: Object.fromEntries(this.#types),
      hash: this.#hash,
    }
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

function kindOf(stream: string): string {
  const end = stream.indexOf('-')
  return end === -1 ? stream : stream.slice(0, end)
}

/** An event without ambiguity: the lengths of what follows the line are in it. */
function partsOf(event: RecordedEvent): (Uint8Array | string)[] {
  const { stream, revision, id, type, at, data, metadata, body } = event
  const line = (form: string, length: number): string =>
    JSON.stringify([stream, revision, id, type, at, data, metadata ?? null, form, length])
  if (body === undefined) return [line('none', 0)]
  if ('hash' in body) return [line('erased', body.hash.length), body.hash]
  const { salt, content } = body
  return [line(typeof content === 'string' ? 'text' : 'bytes', content.length), salt, content]
}
