/** The hooks `commit`: each run keeps its slot until its type has been told how it ended. */
import { filter, firstValueFrom } from 'rxjs'
import type { Cancelled } from '../../../domain/job/events.js'
import { LeaseLost } from '../../../domain/rejection.js'
import type { JobChange } from '../../../projections/job-board.js'
import { JobCancelled, Timeout } from '../../errors.js'
import type { Clock } from '../../ports/clock.js'
import type { Feed } from '../../read/feed.js'
import type { Attempt, AttemptOutcome, Loss } from './attempt.js'
import type { RunEnd } from './hooks.js'
import { withinTime } from './time-limit.js'

/** What became of writing down how a run ended: it was, or the lease was gone already; undefined: it could not be. */
export type Recorded = RunEnd | Loss | undefined

interface CommitsOptions {
  readonly clock: Clock
  readonly feed: Feed
  /** The run needs its slot no more. */
  onSettled(attempt: Attempt): void
}

export class Commits {
  readonly #options: CommitsOptions
  readonly #pending = new Set<Attempt>()
  readonly #stopping = new AbortController()

  constructor(options: CommitsOptions) {
    this.#options = options
  }

  /** Runs that have not been told yet, or are just being told. */
  get size(): number {
    return this.#pending.size
  }

  /** Tells the run's type how it ended, as soon as that is recorded. */
  see(attempt: Attempt, recording: Promise<Recorded> | Recorded): void {
    this.#pending.add(attempt)
    void this.#tell(attempt, recording)
      .catch((error) => attempt.log.error({ err: error }, 'commit did not end in time'))
      .finally(() => {
        this.#pending.delete(attempt)
        this.#options.onSettled(attempt)
      })
  }

  async #tell(attempt: Attempt, recording: Promise<Recorded> | Recorded): Promise<void> {
    const recorded = await recording
    if (recorded === undefined) return
    const { id, lease, timeoutAt } = attempt
    const ms = timeoutAt - lease.at
    const tell = async (): Promise<void> =>
      attempt.commit(recorded instanceof Error ? await this.#lostBy(recorded, attempt) : recorded)
    const late = (): Error => new Timeout(id, ms, 'step')
    await withinTime(ms, tell, { clock: this.#options.clock, signal: this.#stopping.signal, late })
  }

  /** Who was refused knows no more than that; the log says why, once this process has read as far. */
  async #lostBy(known: Loss, { id, lease: { token } }: Attempt): Promise<RunEnd> {
    const { board, changes$ } = this.#options.feed
    const hasEnded = ({ before, after }: JobChange): boolean =>
      before?.lease?.token === token && after.lease?.token !== token
    let loss = known
    if (board.leased.has(token)) loss = lossBy(await firstValueFrom(changes$.pipe(filter(hasEnded))), token)
    else if (board.cancelledLease(token) !== undefined && !(known instanceof JobCancelled)) {
      loss = new JobCancelled(id, undefined)
    }
    const outcome = loss instanceof JobCancelled ? 'cancelled' : 'lost'
    return { outcome, final: board.get(id) === undefined, error: loss }
  }

  /** Waits for none of them any longer. */
  stop(): void {
    this.#stopping.abort(new Error('the worker has stopped'))
  }
}

/** By the event that took the lease away. */
export function lossBy({ event, after }: JobChange, token: string): Loss {
  return after.outcome === 'cancelled'
    ? new JobCancelled(after.id, (event.data as Cancelled).reason)
    : new LeaseLost(after.id, token)
}

/** `answer`: of what recorded it. For a failure it is when the job runs again (ms); undefined: it does not. */
export function endOf(outcome: AttemptOutcome, answer?: unknown): RunEnd | Loss {
  switch (outcome.kind) {
    case 'succeeded':
      return { outcome: 'succeeded', final: true, result: outcome.returned }
    case 'failed':
      return {
        outcome: 'failed',
        final: answer === undefined,
        error: outcome.thrown,
        ...(typeof answer === 'number' && { runAt: answer }),
      }
    case 'snoozed':
      return { outcome: 'snoozed', final: false, runAt: outcome.runAt }
    case 'interrupted':
      return { outcome: 'released', final: false }
    case 'superseded':
      return outcome.loss
  }
}
