import { JobledgerError } from '../../domain/errors.js'
import type { JobState, Lease } from '../../domain/job/evolve.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { Host } from '../ports/host.js'
import type { Logger } from '../ports/logger.js'
import type { Feed } from '../read/feed.js'
import type { Command } from '../write/command.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import * as workers from '../write/worker-commands.js'

/** How often leases are looked at (ms). */
const INTERVAL = 1_000
/** How long past its expiry a lease is left alone (ms): clocks of other machines differ. */
const GRACE = 5_000

export interface ReaperOptions {
  readonly feed: Feed
  readonly journal: Journal
  readonly clock: Clock
  readonly host: Host
  readonly log: Logger
  /** A run in progress in this very process is alive, whatever its lease says. */
  isOurs(token: string): boolean
}

/** Takes leases back: at once from a process of this host that is gone, else when they have expired. */
export class Reaper {
  readonly #options: ReaperOptions
  #lookedAt = Number.POSITIVE_INFINITY
  #patientUntil = 0

  constructor(options: ReaperOptions) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.sweep()
      await delay(this.#options.clock, INTERVAL, signal)
    }
  }

  async sweep(): Promise<void> {
    const { feed, clock, host } = this.#options
    const dead = [...feed.workers.workers.values()].filter(
      ({ process }) => process !== undefined && host.isGone(process),
    )
    const deadIds = new Set(dead.map((worker) => worker.id))
    const now = clock.now()
    // The clock was set, or the machine has slept: those who are alive need a moment to say so.
    if (now - this.#lookedAt > INTERVAL + GRACE) this.#patientUntil = now + GRACE
    this.#lookedAt = now
    const lost = [...feed.board.leased.values()].flatMap((job) => {
      const why = this.#whyLost(job.lease as Lease, deadIds, now)
      return why === undefined ? [] : [this.#takeBack(job, why)]
    })
    await Promise.all(lost)
    // Last: were this process to die in between, the next one would still find the worker dead.
    await Promise.all(dead.map((worker) => this.#retire(worker)))
  }

  #whyLost(lease: Lease, dead: ReadonlySet<string>, now: number): string | undefined {
    if (this.#options.isOurs(lease.token)) return undefined
    if (dead.has(lease.workerId)) return 'the worker process is gone'
    if (now < this.#patientUntil) return undefined
    return now > lease.expiresAt + GRACE
      ? `no sign of life since ${new Date(lease.expiresAt).toISOString()}`
      : undefined
  }

  async #takeBack(job: JobState, why: string): Promise<void> {
    const { token, workerId } = job.lease as Lease
    if (await this.#submit(commands.loseLease(job.id, token, why))) {
      this.#options.log.warn({ jobId: job.id, jobType: job.type, run: job.run, workerId, why }, 'lease lost')
    }
  }

  async #retire(worker: WorkerState): Promise<void> {
    if (await this.#submit(workers.lose(worker.id, 'its process is gone'))) {
      this.#options.log.warn({ workerId: worker.id, pid: worker.process?.pid }, 'worker lost')
    }
  }

  /** False when another runtime was faster. */
  async #submit(command: Command<void>): Promise<boolean> {
    try {
      await this.#options.journal.submit(command)
      return true
    } catch (error) {
      if (error instanceof JobledgerError && error.family !== 'store') return false
      throw error
    }
  }
}
