import type { Body, ErasedBody, Metadata, RecordedEvent } from '../../../domain/event.js'
import type { Queued, Rescheduled, TriggerOrigin } from '../../../domain/job/events.js'
import { jobIdOf, jobStream } from '../../../domain/job/events.js'
import type { JobState } from '../../../domain/job/evolve.js'
import type { RareFacts } from '../../../domain/job/rare.js'
import { upcast } from '../../../domain/upcast.js'
import { type EventStore, StoreUnavailable } from '../../ports/event-store.js'
import { decode, unpack } from '../../write/codec.js'
import type { JobTrigger } from './context.js'

/** UTF-16 units or bytes kept at most, in all. */
const KEPT = 4_000_000

/** What a run needs to know of its job beside the job's state. */
export interface Brief {
  readonly facts: Queued
  readonly metadata: Metadata | undefined
  /** The payload in its stored form, and the version of its shape. */
  readonly body: Body | ErasedBody | undefined
  readonly payloadVersion: number
}

/**
 * Payloads on their way to a handler. What this process has just enqueued is at hand; all else is read when it is leased:
 * the payloads of a large backlog are not kept in memory.
 */
export class Payloads {
  readonly #store: EventStore
  readonly #recent = new Map<string, RecordedEvent>()
  #size = 0

  constructor(store: EventStore) {
    this.#store = store
  }

  /** Keeps the body of a `Queued` that this process wrote, while there is room: those that come first run first. */
  remember(event: RecordedEvent): void {
    const size = sizeOf(event)
    if (size === 0 || this.#size + size > KEPT) return
    this.#recent.set(jobIdOf(event.stream), event)
    this.#size += size
  }

  forget(id: string): void {
    const event = this.#recent.get(id)
    if (event === undefined) return
    this.#recent.delete(id)
    this.#size -= sizeOf(event)
  }

  /** Begins to read what is not at hand. A failure shows when it is loaded. */
  fetch(job: JobState): Promise<Brief> | undefined {
    if (this.#isAtHand(job)) return undefined
    const reading = this.#read(job)
    reading.catch(() => {})
    return reading
  }

  load(job: JobState): Brief | Promise<Brief> {
    return this.#isAtHand(job) ? briefOf(this.#recent.get(job.id) as RecordedEvent) : this.#read(job)
  }

  /** Not the payload that was given at first, if another took its place. */
  #isAtHand(job: JobState): boolean {
    return job.rare?.payloadAt === undefined && this.#recent.has(job.id)
  }

  async #read({ id, rare }: JobState): Promise<Brief> {
    const brief = briefOf(await this.#event(id, 0))
    if (rare?.payloadAt === undefined) return brief
    const { body, data } = await this.#event(id, rare.payloadAt)
    return { ...brief, body, payloadVersion: (data as Rescheduled).payloadVersion ?? 1 }
  }

  async #event(id: string, revision: number): Promise<RecordedEvent> {
    for await (const [event] of this.#store.readStream(jobStream(id), { from: revision, limit: 1, bodies: true }))
      if (event !== undefined) return upcast(event)
    throw new Error(`Revision ${revision} of job ${id} is not there.`)
  }
}

/** What is read, or what `load` gives later: a store that cannot be read now may be able to then. `wait` is told why. */
export async function patiently(
  reading: Promise<Brief>,
  load: () => Brief | Promise<Brief>,
  wait: (error: StoreUnavailable) => Promise<void>,
): Promise<Brief> {
  for (let coming = reading; ; coming = Promise.resolve(load())) {
    try {
      return await coming
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      await wait(error)
    }
  }
}

function briefOf(event: RecordedEvent): Brief {
  const facts = event.data as Queued
  return { facts, metadata: event.metadata, body: event.body, payloadVersion: facts.payloadVersion ?? 1 }
}

/** As its handler is told of it. */
export const triggerOf = ({ id, occurrence }: TriggerOrigin, event?: unknown): JobTrigger => ({
  id,
  occurrence,
  ...(event !== undefined && { event }),
})

/** What a run is given. Nearly all jobs have a payload and nothing else. Throws SyntaxError. */
export function contentOf(
  { body }: Brief,
  rare: RareFacts | undefined,
): { readonly payload: unknown; readonly trigger: JobTrigger | undefined } {
  const stored = decode(body)
  if (rare?.trigger === undefined) return { payload: stored, trigger: undefined }
  const { payload, event } = unpack(stored, rare)
  return { payload, trigger: triggerOf(rare.trigger, event) }
}

const sizeOf = ({ body }: RecordedEvent): number => (body !== undefined && 'content' in body ? body.content.length : 0)
