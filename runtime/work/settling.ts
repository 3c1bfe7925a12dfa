/** Waiting until every runtime acts on something that is in the log. */
import { Subscription } from 'rxjs'
import type { Position } from '../../domain/event.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import { LedgerClosed } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { Feed } from '../read/feed.js'

/** How often it is looked whether somebody has fallen silent (ms); a word of theirs is heard at once. */
const LOOK = 1_000

export interface Settling {
  /** What they have to act on. */
  readonly position: Position
  /** Ms; absent: as long as it takes. Nobody is waited for who has been silent for longer than `LIVE_MS`. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Which workers it is about. */
  concerns(worker: WorkerState): boolean
}

/**
 * Resolves with the ids of those that have not answered: none, unless the time was up. Those are asked that lease by
 * themselves, in a process of their own; workers that speak through the lease protocol lease through a ledger, which looks
 * at the log. Rejects with the signal's reason, or LedgerClosed.
 */
export function settled(
  { feed, clock }: { readonly feed: Feed; readonly clock: Clock },
  what: Settling,
): Promise<string[]> {
  const { position, timeoutMs, signal, concerns } = what
  const missing = (): string[] =>
    feed.workers
      .live(clock.now())
      .filter((worker) => worker.process !== undefined && concerns(worker) && (worker.seenTo ?? '') < position)
      .map(({ id }) => id)
  const until = timeoutMs === undefined ? Number.POSITIVE_INFINITY : clock.now() + timeoutMs
  return new Promise((resolve, reject) => {
    let cancel = (): void => {}
    const listening = new Subscription(() => cancel())
    const fail = (reason: unknown): void => {
      listening.unsubscribe()
      reject(reason)
    }
    const abort = (): void => fail(signal?.reason)
    listening.add(() => signal?.removeEventListener('abort', abort))
    const look = (): void => {
      const ids = missing()
      const now = clock.now()
      if (ids.length > 0 && now < until) {
        cancel()
        cancel = clock.at(Math.min(now + LOOK, until), look)
        return
      }
      listening.unsubscribe()
      resolve(ids)
    }
    if (signal?.aborted) return abort()
    signal?.addEventListener('abort', abort, { once: true })
    listening.add(feed.pages$.subscribe({ next: look, complete: () => fail(new LedgerClosed()) }))
    // Of a ledger that is closed already the pages have ended.
    if (!listening.closed) look()
  })
}
