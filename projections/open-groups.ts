import type { JobsRemoved } from '../domain/audit/events.js'
import { isBatchStream, type Rest } from '../domain/batch/events.js'
import type { Taken } from '../domain/claim/events.js'
import type { RecordedEvent } from '../domain/event.js'
import { jobStream } from '../domain/job/events.js'

/** Something that was decided and is not known to be done: only on a store that appends to one stream at a time. */
export interface OpenGroup {
  /** Of the event that decides. */
  readonly stream: string
  readonly revision: number
  readonly id: string
  /** When it was seen (ms, by the clock of whoever folds). */
  readonly seenAt: number
  readonly last: Rest
  /** It takes a place for this lease. */
  readonly token?: string
}

export interface SavedGroups {
  readonly open: readonly OpenGroup[]
  readonly parts: readonly (readonly [string, number])[]
}

/** What whoever dies between two appends has left to do. */
export class OpenGroups {
  /** By `keyOf`. */
  readonly #open = new Map<string, OpenGroup>()
  /** By the stream of the last event. */
  readonly #byLast = new Map<string, OpenGroup[]>()
  /** Leases that have a place and are not in the log yet, by the stream of their key. */
  readonly #taking = new Map<string, Set<string>>()
  /** Batches of which only parts have come, and when the first of them was seen (ms). */
  readonly #parts = new Map<string, number>()
  readonly #onFreed: (stream: string) => void

  /** `onFreed`: of the key that this stream is for, a place is not taken any more, or a run has it now. */
  constructor(onFreed: (stream: string) => void) {
    this.#onFreed = onFreed
  }

  get open(): Iterable<OpenGroup> {
    return this.#open.values()
  }

  get size(): number {
    return this.#open.size
  }

  /** What this event, which has been folded, is part of is not known to be done. */
  isOpen(event: Pick<RecordedEvent, 'stream' | 'id'>, rest: Rest): boolean {
    return this.#open.has(keyOf(event, rest))
  }

  /** Of the key that this stream is for. */
  taking(stream: string): ReadonlySet<string> {
    return this.#taking.get(stream) ?? NOBODY
  }

  isTaking(token: string): boolean {
    for (const tokens of this.#taking.values()) if (tokens.has(token)) return true
    return false
  }

  /** Folds one event of anything but a job. */
  apply(event: RecordedEvent, now: number): void {
    const { stream, revision, id, type, data } = event
    if (isBatchStream(stream)) this.#applyPart(event, now)
    if (type === 'JobsRemoved') for (const job of (data as JobsRemoved).jobs) this.#gone(jobStream(job.id))
    const { rest } = data as { readonly rest?: Rest }
    if (rest === undefined || rest.head !== undefined) return
    const token = type === 'Taken' ? (data as Taken).holders.at(-1) : undefined
    this.#add(keyOf(event, rest), {
      ...{ stream, revision, id, seenAt: now, last: rest },
      ...(token !== undefined && { token }),
    })
  }

  #applyPart({ stream, type }: RecordedEvent, now: number): void {
    if (type !== 'BatchPart') this.#parts.delete(stream)
    else if (!this.#parts.has(stream)) this.#parts.set(stream, now)
  }

  /** Streams of batches on which nobody has decided since then. */
  unsubmitted(since: number): string[] {
    return [...this.#parts].filter(([, seenAt]) => seenAt <= since).map(([stream]) => stream)
  }

  cleared(stream: string): void {
    this.#parts.delete(stream)
  }

  #add(key: string, group: OpenGroup): void {
    const { stream, last, token } = group
    this.#open.set(key, group)
    this.#byLast.set(last.stream, [...(this.#byLast.get(last.stream) ?? []), group])
    if (token !== undefined) this.#taking.set(stream, new Set([...this.taking(stream), token]))
  }

  /** An event of a job. Hot path: call it only if any are open. */
  follow({ stream, revision, id }: Pick<RecordedEvent, 'stream' | 'revision' | 'id'>): void {
    for (const group of this.#byLast.get(stream) ?? []) {
      if (revision < group.last.revision) continue
      // Another one was faster: a place is taken for nothing, and nothing is left to do about it.
      if (id === group.last.id || group.token !== undefined) this.close(group)
    }
  }

  /** A stream that has left the log was there. */
  #gone(stream: string): void {
    for (const group of this.#byLast.get(stream) ?? []) this.close(group)
  }

  close(group: OpenGroup): void {
    const { stream, last, token } = group
    this.#open.delete(keyOf(group, last))
    const left = (this.#byLast.get(last.stream) ?? []).filter((other) => other !== group)
    if (left.length > 0) this.#byLast.set(last.stream, left)
    else this.#byLast.delete(last.stream)
    if (token === undefined) return
    const tokens = new Set(this.taking(stream))
    tokens.delete(token)
    if (tokens.size > 0) this.#taking.set(stream, tokens)
    else this.#taking.delete(stream)
    this.#onFreed(stream)
  }

  /** For a checkpoint. */
  toJSON(): SavedGroups {
    return { open: [...this.#open.values()], parts: [...this.#parts] }
  }

  /** Takes up what `toJSON` gave. */
  restore({ open, parts }: SavedGroups): void {
    for (const group of open) this.#add(keyOf(group, group.last), group)
    for (const [stream, seenAt] of parts) this.#parts.set(stream, seenAt)
  }
}

const NOBODY: ReadonlySet<string> = new Set()

/** A batch decides once; of claims each event does. */
const keyOf = ({ stream, id }: Pick<RecordedEvent, 'stream' | 'id'>, { head }: Rest): string =>
  head ?? (isBatchStream(stream) ? stream : id)
