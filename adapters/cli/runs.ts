/** Follows the runs of this process's workers through the event stream: what runs now, and what came of the rest. */
import { hostname } from 'node:os'
import type { Subscription } from 'rxjs'
import type { RecordedEvent } from '../../domain/event.js'
import type { Failed, Finished, Leased, Released } from '../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import { isTriggerStream } from '../../domain/trigger/events.js'
import type { WorkerRegistered } from '../../domain/worker/events.js'
import { workerIdOf } from '../../domain/worker/events.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { Logger } from '../../runtime/ports/logger.js'

/** Events of other processes come in a moment after ours: asking at once would find what they have just taken. */
const SETTLE_MS = 50

export interface RunCounts {
  succeeded: number
  /** Attempts that ended badly, also those that will be tried again. */
  failed: number
  /** Given back (at shutdown, or by a snooze), cancelled, or lost. */
  interrupted: number
}

export class Runs {
  readonly counts: RunCounts = { succeeded: 0, failed: 0, interrupted: 0 }
  readonly #running = new Set<string>()
  readonly #log: Logger
  readonly #subscription: Subscription
  /** Those that have registered from this process, also when others have taken their place since. */
  readonly #workers = new Set<string>()
  #idle: (() => void) | undefined
  #settling: NodeJS.Timeout | undefined

  /** Before `start()`: their registrations tell which workers are ours. */
  constructor(ledger: Ledger, log: Logger) {
    this.#log = log
    this.#subscription = ledger.events$.subscribe((event) => this.#follow(event))
  }

  get workerIds(): string[] {
    return [...this.#workers]
  }

  get running(): number {
    return this.#running.size
  }

  /** Calls back whenever something happened and nothing of ours runs any more. */
  onIdle(callback: () => void): void {
    this.#idle = callback
    this.#settle()
  }

  stop(): void {
    clearTimeout(this.#settling)
    this.#idle = undefined
    this.#subscription.unsubscribe()
  }

  #follow(event: RecordedEvent): void {
    const { stream, type, data } = event
    if (type === 'WorkerRegistered' && isOurs(data as WorkerRegistered)) this.#workers.add(workerIdOf(stream))
    if (isTriggerStream(stream)) this.#settle()
    if (!isJobStream(stream)) return
    if (type === 'Leased' && this.#workers.has((data as Leased).workerId)) this.#running.add(stream)
    else if (this.#running.has(stream)) this.#tell(event)
    this.#settle()
  }

  /** What an event means for the run of ours that it is about. */
  #tell({ stream, type, data }: RecordedEvent): void {
    if (type === 'Heartbeat' || type === 'Rescheduled') return
    this.#running.delete(stream)
    const jobId = jobIdOf(stream)
    if (type === 'Finished' && (data as Finished).outcome === 'succeeded') {
      this.counts.succeeded += 1
      this.#log.debug({ jobId }, 'job succeeded')
    } else if (type === 'Failed' && (data as Failed).cause !== 'lease-lost') {
      this.counts.failed += 1
      const { run, attempt, cause, error, retryable } = data as Failed
      this.#log.warn({ jobId, run, attempt, cause, error, retryable }, 'attempt failed')
    } else if (type === 'Released' && (data as Released).by === 'snooze') {
      this.counts.interrupted += 1
      this.#log.debug({ jobId, runAt: (data as Released).runAt }, 'job snoozed')
    } else {
      this.counts.interrupted += 1
      this.#log.info({ jobId, event: type }, 'run interrupted')
    }
  }

  #settle(): void {
    if (this.#running.size > 0 || this.#idle === undefined || this.#settling !== undefined) return
    this.#settling = setTimeout(() => {
      this.#settling = undefined
      if (this.#running.size === 0) this.#idle?.()
    }, SETTLE_MS)
  }
}

function isOurs({ process: its }: WorkerRegistered): boolean {
  return its?.pid === process.pid && its.host === hostname()
}
