/**
 * The log behind the fake EventStoreDB: streams, `$all`, and what the server answers to an append, a deletion and a repetition.
 * Only ids are compared when an append is repeated, as the real one does.
 */

export const ANY = -2
export const NONE = -1
export const EXISTS = -4

/** The revision of a tombstone. */
const LAST_REVISION = 9223372036854775807n

export interface Proposed {
  readonly id: string
  readonly type: string
  readonly contentType: string
  readonly data: Uint8Array
  readonly metadata: Uint8Array
}

export interface Stored extends Proposed {
  readonly stream: string
  readonly revision: bigint
  /** Where the record begins in the log; commit and prepare position are the same. */
  readonly position: bigint
  readonly created: number
  /** From when on reads of the stream find it. */
  readonly readableAt: number
}

export type Appended =
  | { readonly kind: 'ok'; readonly revision: number; readonly position: bigint | undefined }
  | { readonly kind: 'wrong'; readonly current: number }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'too large'; readonly limit: number }

interface Stream {
  readonly events: Stored[]
  /** Of the first of `events`: what was scavenged keeps its numbers. */
  first: number
  /** Events below it are hidden from reads of the stream. */
  before: bigint
  tombstoned: boolean
}

const MAX_APPEND = 1024 * 1024

export class FakeLog {
  all: Stored[] = []
  readonly #streams = new Map<string, Stream>()
  readonly #waiting = new Set<() => void>()
  #end = 0n

  append(name: string, expected: number, events: readonly Proposed[], lag = 0): Appended {
    if (events.reduce((sum, { data }) => sum + data.length, 0) > MAX_APPEND)
      return { kind: 'too large', limit: MAX_APPEND }
    const stream = this.#streams.get(name)
    if (this.#isTombstoned(name)) return { kind: 'deleted' }
    const current = stream === undefined ? NONE : lastOf(stream)
    if (events.length === 0 && expected < 0) return { kind: 'ok', revision: 0, position: undefined }
    if (!fits(expected, current, stream)) {
      return (stream && repetition(stream, expected, events)) ?? { kind: 'wrong', current }
    }
    for (const event of events) this.#write(name, event, lag)
    if (name.startsWith('$$')) this.#applyMetadata(name.slice(2), events.at(-1)?.data)
    this.#wake()
    return { kind: 'ok', revision: current + events.length, position: this.all.at(-1)?.position }
  }

  /** Soft: hides what is there, and the name may go on. Hard: a tombstone, for ever. */
  delete(name: string, expected: number, hard: boolean): Appended {
    const stream = this.#streams.get(name)
    if (stream?.tombstoned) return { kind: 'deleted' }
    const current = stream === undefined ? NONE : lastOf(stream)
    // A tombstone may be laid on a name that was never written; to hide what is not there is a mistake.
    const missing = !hard && current === NONE
    if (missing || (expected === EXISTS ? current === NONE : expected !== ANY && expected !== current)) {
      return { kind: 'wrong', current }
    }
    if (hard) {
      const target = this.#stream(name)
      this.#record(name, { ...marker('$streamDeleted', '{}'), contentType: 'application/octet-stream' }, LAST_REVISION)
      target.tombstoned = true
    } else {
      this.#write(`$$${name}`, marker('$metadata', '{"$tb":9223372036854775807}'))
      this.#stream(name).before = LAST_REVISION
    }
    this.#wake()
    return { kind: 'ok', revision: current, position: this.all.at(-1)?.position }
  }

  /** What a read of the stream sees; undefined for one that is not there, 'deleted' for a tombstone. */
  read(name: string): readonly Stored[] | 'deleted' | undefined {
    const stream = this.#streams.get(name)
    if (this.#isTombstoned(name)) return 'deleted'
    if (stream === undefined || stream.before === LAST_REVISION) return undefined
    const now = Date.now()
    const readable = stream.events.filter(({ readableAt }) => readableAt <= now)
    return readable.length === 0 ? undefined : readable.slice(Math.max(0, Number(stream.before) - stream.first))
  }

  /** Index in `all` of the first event after a position. */
  indexAfter(position: bigint): number {
    let low = 0
    let high = this.all.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.all[middle]?.position ?? 0n) <= position) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Drops what is deleted or hidden, as an operator's scavenge does. The last event of a stream stays unless it is tombstoned. */
  scavenge(): void {
    const gone = new Set<Stored>()
    for (const stream of this.#streams.values()) {
      const keep = stream.tombstoned ? 0 : 1
      const hidden = stream.tombstoned ? stream.events.length : Math.max(0, Number(stream.before) - stream.first)
      const dropped = stream.events.splice(0, Math.max(0, Math.min(hidden, stream.events.length - keep)))
      stream.first += dropped.length
      for (const each of dropped) gone.add(each)
    }
    this.all = this.all.filter((each) => !gone.has(each))
    this.#wake()
  }

  /** Calls back when the log has grown, until told to stop. */
  watch(call: () => void): () => void {
    this.#waiting.add(call)
    return () => void this.#waiting.delete(call)
  }

  /** With a stream goes what is kept about it. */
  #isTombstoned(name: string): boolean {
    return this.#streams.get(name.startsWith('$$') ? name.slice(2) : name)?.tombstoned ?? false
  }

  #wake(): void {
    for (const call of this.#waiting) call()
  }

  #stream(name: string): Stream {
    const stream = this.#streams.get(name) ?? { events: [], first: 0, before: 0n, tombstoned: false }
    this.#streams.set(name, stream)
    return stream
  }

  #write(name: string, event: Proposed, lag = 0): void {
    const stream = this.#stream(name)
    // A stream that was soft-deleted shows what comes from now on.
    const again = stream.before === LAST_REVISION
    if (again) stream.before = BigInt(lastOf(stream) + 1)
    stream.events.push(this.#record(name, event, BigInt(lastOf(stream) + 1), lag))
    if (again) this.#write(`$$${name}`, marker('$metadata', `{"$tb":${stream.before}}`))
  }

  #record(stream: string, event: Proposed, revision: bigint, lag = 0): Stored {
    const created = Date.now()
    const stored = { ...event, stream, revision, position: this.#end, created, readableAt: created + lag }
    this.#end += BigInt(100 + stream.length * 2 + event.data.length + event.metadata.length)
    this.all.push(stored)
    return stored
  }

  #applyMetadata(name: string, data: Uint8Array | undefined): void {
    const { $tb } = JSON.parse(Buffer.from(data ?? new Uint8Array(0)).toString() || '{}') as { $tb?: number }
    this.#stream(name).before = BigInt($tb ?? 0)
  }
}

function lastOf({ first, events }: Stream): number {
  return first + events.length - 1
}

function fits(expected: number, current: number, stream: Stream | undefined): boolean {
  if (expected === ANY) return true
  if (expected === EXISTS) return current !== NONE
  const softlyDeleted = expected === NONE && stream?.before === LAST_REVISION
  return softlyDeleted || expected === current
}

/** The same ids at the same revisions: the first answer again, also when the stream has moved on. */
function repetition(stream: Stream, expected: number, events: readonly Proposed[]): Appended | undefined {
  if (expected < NONE) return undefined
  const at = expected + 1 - stream.first
  const same = events.every(({ id }, index) => stream.events[at + index]?.id === id)
  if (!same) return undefined
  const revision = expected + events.length
  return { kind: 'ok', revision, position: stream.events[revision - stream.first]?.position }
}

function marker(type: string, text: string): Proposed {
  const id = crypto.randomUUID()
  return { id, type, contentType: 'application/json', data: Buffer.from(text), metadata: new Uint8Array(0) }
}
