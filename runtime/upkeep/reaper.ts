import { JobledgerError } from '../../domain/errors.js'
import type { JobState, Lease } from '../../domain/job/evolve.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import { LIVE_MS } from '../../projections/worker-registry.js'
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
/** A worker is given up that has given no sign of life for longer than this (ms): one in a process; one that lives elsewhere. */
const SILENCE = 120_000
const SILENCE_ELSEWHERE = 3_600_000

export interface ReaperOptions {
  readonly feed: Feed
  readonly journal: Journal
  readonly clock: Clock
  readonly host: Host
  readonly log: Logger
  /** A run in progress in this very process is alive, whatever its lease says. */
  isOurs(token: string): boolean
  /** So is a worker of this very process. */
  isOurWorker(id: string): boolean
}

/**
 * Takes leases back: at once from a process of this host that is gone, else when they have expired. Takes workers off the
 * list that are gone or have fallen silent; what a silent one holds is left to expire.
 */
export class Reaper {
  readonly #options: ReaperOptions
  #lookedAt = Number.POSITIVE_INFINITY
  /** When time was last seen to jump. */
  #wokeAt = Number.NEGATIVE_INFINITY

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
    if (now - this.#lookedAt > INTERVAL + GRACE) this.#wokeAt = now
    this.#lookedAt = now
    const lost = [...feed.board.leased.values()].flatMap((job) => {
      const lease = job.lease as Lease
      const why = this.#whyLost(lease, deadIds, now)
      return why === undefined
        ? []
        : [this.#takeBack(job, why, deadIds.has(lease.workerId) ? undefined : lease.expiresAt)]
    })
    await Promise.all(lost)
    // Last: were this process to die in between, the next one would still find the worker dead.
    await Promise.all(dead.map((worker) => this.#bury(worker)))
    await Promise.all(this.#silent(now, deadIds).map((worker) => this.#retire(worker)))
  }

  /** After a sleep they are given the time in which any that lives says so by itself. */
  #silent(now: number, dead: ReadonlySet<string>): WorkerState[] {
    const { feed, isOurWorker } = this.#options
    if (now <= this.#wokeAt + LIVE_MS) return []
    return [...feed.workers.workers.values()].filter(({ id, process }) => {
      const limit = process === undefined ? SILENCE_ELSEWHERE : SILENCE
      return now - feed.workers.lastSeenAt(id) > limit && !dead.has(id) && !isOurWorker(id)
    })
  }

  #whyLost(lease: Lease, dead: ReadonlySet<string>, now: number): string | undefined {
    if (this.#options.isOurs(lease.token)) return undefined
    if (dead.has(lease.workerId)) return 'the worker process is gone'
    if (now < this.#wokeAt + GRACE) return undefined
    return now > lease.expiresAt + GRACE
      ? `no sign of life since ${new Date(lease.expiresAt).toISOString()}`
      : undefined
  }

  /** `until`: its end. One that wakes up in this moment, and extends its lease, keeps it. */
  async #takeBack(job: JobState, why: string, until: number | undefined): Promise<void> {
    const { token, workerId } = job.lease as Lease
    if (await this.#submit(commands.loseLease(job.id, token, why, until))) {
      this.#options.log.warn({ jobId: job.id, jobType: job.type, run: job.run, workerId, why }, 'lease lost')
    }
  }

  async #bury(worker: WorkerState): Promise<void> {
    if (await this.#submit(workers.lose(worker.id, 'its process is gone'))) {
      this.#options.log.warn({ workerId: worker.id, pid: worker.process?.pid }, 'worker lost')
    }
  }

  async #retire({ id, process }: WorkerState): Promise<void> {
    const seenAt = this.#options.feed.workers.lastSeenAt(id)
    const reason = `no sign of life since ${new Date(seenAt).toISOString()}`
    if (await this.#submit(workers.retire(id, seenAt, reason))) {
      this.#options.log.warn({ workerId: id, pid: process?.pid, seenAt }, 'worker lost: it is silent')
    }
  }

  /** False when another runtime was faster, or it is not so any more. */
  async #submit(command: Command<unknown>): Promise<boolean> {
    try {
      return (await this.#options.journal.submit(command)) !== false
    } catch (error) {
      if (error instanceof JobledgerError && error.family !== 'store') return false
      throw error
    }
  }
}
