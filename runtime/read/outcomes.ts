import type { Subscription } from 'rxjs'
import type { JobsRemoved } from '../../domain/audit/events.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Cancelled } from '../../domain/job/events.js'
import { JobCancelled, JobFailed, LedgerClosed } from '../errors.js'
import { decode, messageOf } from '../write/codec.js'
import type { Feed } from './feed.js'
import type { Queries } from './queries.js'

interface Waiter {
  wake(): void
  fail(reason: Error): void
}

/** Waits for jobs to end, also those that another process runs. */
export class Outcomes {
  readonly #queries: Queries
  readonly #waiters = new Map<string, Set<Waiter>>()
  readonly #subscription: Subscription

  constructor(feed: Feed, queries: Queries) {
    this.#queries = queries
    this.#subscription = feed.changes$.subscribe(({ after }) => {
      if (after.phase === 'ended') this.#wake(after.id)
    })
    // Of a job that came and went before this process has read of it there is no other news.
    this.#subscription.add(
      feed.events$.subscribe(({ type, data }) => {
        if (type === 'JobsRemoved') for (const { id } of (data as JobsRemoved).jobs) this.#wake(id)
      }),
    )
  }

  #wake(id: string): void {
    if (this.#waiters.size > 0) for (const waiter of this.#waiters.get(id) ?? []) waiter.wake()
  }

  /** What the handler returned. Throws JobFailed, JobCancelled, JobUnknown, JobRemoved, LedgerClosed, or the signal's reason. */
  async result(id: string, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted()
    const ended = this.#ended(id, signal)
    try {
      // Asked for after the waiter is in place: an end in between is seen by one or the other.
      const before = await this.#queries.read(id)
      if (before.state.phase === 'ended') return unwrap(before)
      await ended.promise
      const after = await this.#queries.read(id)
      if (after.state.phase === 'ended') return unwrap(after)
    } finally {
      ended.drop()
    }
    // Ended, and sent round again before we could look.
    return this.result(id, signal)
  }

  #ended(id: string, signal: AbortSignal | undefined): { promise: Promise<void>; drop: () => void } {
    const waiters = this.#waiters.get(id) ?? new Set()
    this.#waiters.set(id, waiters)
    let waiter: Waiter | undefined
    let abort: (() => void) | undefined
    const promise = new Promise<void>((resolve, reject) => {
      waiter = { wake: resolve, fail: reject }
      waiters.add(waiter)
      abort = () => reject(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
    })
    promise.catch(() => {})
    const drop = (): void => {
      if (abort !== undefined) signal?.removeEventListener('abort', abort)
      waiters.delete(waiter as Waiter)
      if (waiters.size === 0) this.#waiters.delete(id)
    }
    return { promise, drop }
  }

  close(): void {
    this.#subscription.unsubscribe()
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.fail(new LedgerClosed())
  }
}

/** What the end of a job means to whoever waits for it. */
function unwrap({ state: { id, outcome, error = 'Error' }, events }: Awaited<ReturnType<Queries['read']>>): unknown {
  const last = (type: string): RecordedEvent | undefined => events.findLast((event) => event.type === type)
  if (outcome === 'succeeded') return decode(last('Finished')?.body)
  if (outcome === 'cancelled') throw new JobCancelled(id, (last('Cancelled')?.data as Cancelled | undefined)?.reason)
  throw new JobFailed(id, error, messageOf(last('Failed')?.body))
}
