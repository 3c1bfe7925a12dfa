import type { Subscription } from 'rxjs'
import { JobCancelled, JobFailed, LedgerClosed } from '../errors.js'
import type { Feed } from './feed.js'
import type { JobStatus, Queries } from './queries.js'

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
      if (after.phase === 'ended' && this.#waiters.size > 0)
        for (const waiter of this.#waiters.get(after.id) ?? []) waiter.wake()
    })
  }

  /** What the handler returned. Throws JobFailed, JobCancelled, JobUnknown, LedgerClosed, or the signal's reason. */
  async result(id: string, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted()
    const ended = this.#ended(id, signal)
    try {
      // Asked for after the waiter is in place: an end in between is seen by one or the other.
      const before = await this.#queries.status(id)
      if (hasEnded(before)) return unwrap(before)
      await ended.promise
      const after = await this.#queries.status(id)
      if (hasEnded(after)) return unwrap(after)
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

const hasEnded = ({ state }: JobStatus): boolean => state === 'succeeded' || state === 'failed' || state === 'cancelled'

function unwrap(status: JobStatus): unknown {
  if (status.state === 'succeeded') return status.result
  if (status.state === 'cancelled') throw new JobCancelled(status.id, status.reason)
  throw new JobFailed(status.id, status.error ?? 'Error', status.errorMessage ?? '')
}
