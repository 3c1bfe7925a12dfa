import { JobledgerError } from '../../domain/errors.js'
import type { JobState, Lease } from '../../domain/job/evolve.js'
import type { JobBoard } from '../../projections/job-board.js'
import type { Lane } from '../../projections/pending-index.js'
import type { Clock } from '../ports/clock.js'
import type { Ids } from '../ports/ids.js'
import type { Logger } from '../ports/logger.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import { Alarm } from './alarm.js'
import type { Brief } from './payloads.js'
import type { QueueCaps } from './queue-caps.js'

/** Pause after a lease that the store could not record (ms): a full disk is not met with a busy loop. */
const STORE_PAUSE = 1_000

export interface DispatcherOptions {
  readonly board: JobBoard
  readonly journal: Journal
  readonly clock: Clock
  readonly ids: Ids
  readonly log: Logger
  readonly workerId: string
  readonly leaseMs: number
  readonly codeVersion: string | undefined
  readonly caps: QueueCaps
  accepts(lane: Lane): boolean
  /** Slots that are neither running nor about to. */
  free(): number
  /** Begins to read what the run will need; undefined when it is at hand. */
  fetch(job: JobState): Promise<Brief> | undefined
  /** A lease is durable: run it. */
  begin(job: JobState, lease: Lease, brief: Promise<Brief> | undefined): void
}

/**
 * Pending index + free slots -> leases. The index only proposes; whether the job is ours is decided by the append.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #due: Alarm
  #lanes: Lane[] = []
  #lanesSeen = -1
  #leasing = 0
  /** The one job of those that have lost a lease that this runtime tries now, and until when it blocks the next. */
  #suspect: { readonly id: string; readonly run: number; readonly until: number } | undefined
  #pausedUntil = 0
  #stopped = false

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#due = new Alarm(options.clock, () => options.journal.wake())
  }

  get leasing(): number {
    return this.#leasing
  }

  /** Takes what the free slots allow. All leases of one call end up in one commit. */
  dispatch(): void {
    const { board, clock, free } = this.#options
    if (this.#stopped) return
    const now = clock.now()
    if (now < this.#pausedUntil) return this.#due.by(this.#pausedUntil)
    board.pending.promoteDue(now)
    let lanes = this.#withRoom()
    for (let slots = free() - this.#leasing; slots > 0; slots -= 1) {
      const job = board.pending.take(lanes, { suspects: this.#suspectAllowed(now) })
      if (job === undefined) break
      if (job.lost > 0) this.#suspect = { id: job.id, run: job.run + 1, until: now + this.#options.leaseMs }
      // Read while the lease is on its way: the store then also knows where the stream is.
      const brief = this.#options.fetch(job)
      void this.#lease(job.id, job.queue, commands.lease, { job, brief }).catch((error) => this.#failed(job, error))
      lanes = this.#withRoom(lanes)
    }
    const next = board.pending.nextDue()
    if (next !== undefined) this.#due.by(next)
  }

  #accepted(): readonly Lane[] {
    const { pending } = this.#options.board
    if (pending.laneCount !== this.#lanesSeen) {
      this.#lanes = [...pending.lanes].filter((lane) => this.#options.accepts(lane))
      this.#lanesSeen = pending.laneCount
    }
    return this.#lanes
  }

  /** Of the lanes accepted, those whose queue is not full. */
  #withRoom(lanes: readonly Lane[] = this.#accepted()): readonly Lane[] {
    const { caps } = this.#options
    return caps.none ? lanes : lanes.filter((lane) => caps.hasRoom(lane.queue))
  }

  #suspectAllowed(now: number): boolean {
    const { board } = this.#options
    const suspect = this.#suspect
    if (suspect === undefined) return true
    const job = board.get(suspect.id)
    // Its lease may still be on its way.
    const isTried = job !== undefined && (job.phase === 'leased' || job.run < suspect.run)
    if (isTried && now < suspect.until) {
      this.#due.by(suspect.until)
      return false
    }
    return true
  }

  /**
   * A job that this process enqueues in this very tick, with a slot free and nothing before it: it is queued and leased in
   * one commit. `job` says nothing of when it may run: call this only for one that may run at once.
   */
  anticipate(id: string, lane: Lane): void {
    const { board, accepts, caps, free, clock } = this.#options
    if (!accepts(lane) || !caps.hasRoom(lane.queue) || free() - this.#leasing < 1 || clock.now() < this.#pausedUntil)
      return
    if (board.pending.isEmpty(this.#accepted()))
      void this.#lease(id, lane.queue, commands.leaseNew).catch(() => this.#options.journal.wake())
  }

  async #lease(
    id: string,
    queue: string,
    command: typeof commands.lease,
    fetched?: { readonly job: JobState; readonly brief: Promise<Brief> | undefined },
  ): Promise<void> {
    const { ids, workerId, leaseMs, codeVersion, journal, board, begin, caps } = this.#options
    const token = ids.uuid()
    this.#leasing += 1
    caps.take(queue)
    try {
      await journal.submit(command(id, { token, workerId, leaseMs, codeVersion }))
    } catch (error) {
      caps.give(queue)
      throw error
    } finally {
      this.#leasing -= 1
    }
    const leased = board.get(id)
    // Until the commit its payload may have been replaced.
    const brief = leased?.rare?.payloadAt === fetched?.job.rare?.payloadAt ? fetched?.brief : undefined
    // Between the commit and now somebody may have cancelled it.
    if (leased?.lease?.token === token) return begin(leased, leased.lease, brief)
    caps.give(queue)
    journal.wake()
  }

  /** A rival was faster: its event moves the job. A store that cannot write: the job is offered again after a pause. */
  #failed(job: JobState, error: Error): void {
    const { board, clock, log, journal } = this.#options
    if (this.#suspect?.id === job.id) this.#suspect = undefined
    if (!(error instanceof JobledgerError && error.family === 'job')) {
      log.error({ err: error, jobId: job.id }, 'lease not recorded')
      this.#pausedUntil = clock.now() + STORE_PAUSE
      if (board.get(job.id) === job) board.pending.push(job, clock.now())
    }
    journal.wake()
  }

  /** For good: a timer that is still set keeps the process alive. */
  stop(): void {
    this.#stopped = true
    this.#due.stop()
  }
}
