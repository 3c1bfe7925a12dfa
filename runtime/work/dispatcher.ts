import type { KeyClaim } from '../../domain/claim/key-limit.js'
import { JobledgerError } from '../../domain/errors.js'
import type { JobState, Lease } from '../../domain/job/evolve.js'
import { KeyAtLimit } from '../../domain/rejection.js'
import type { JobBoard } from '../../projections/job-board.js'
import type { Lane } from '../../projections/pending-index.js'
import type { QueueRegistry } from '../../projections/queue-registry.js'
import type { Clock } from '../ports/clock.js'
import type { Ids } from '../ports/ids.js'
import type { Logger } from '../ports/logger.js'
import type { Command } from '../write/command.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import { Alarm } from './alarm.js'
import type { KeyRoom } from './key-room.js'
import type { Pool } from './pool.js'
import type { Brief } from './run/payloads.js'
import type { SuspectLane } from './suspects.js'

/** Pause after a lease that the store could not record (ms): a full disk is not met with a busy loop. */
const STORE_PAUSE = 1_000

export interface DispatcherOptions {
  readonly board: JobBoard
  readonly queues: QueueRegistry
  readonly journal: Journal
  readonly clock: Clock
  readonly ids: Ids
  readonly log: Logger
  readonly workerId: string
  readonly codeVersion: string | undefined
  readonly pool: Pool
  readonly keys: KeyRoom
  readonly suspects: SuspectLane
  /** Whether anything is leased just now. */
  isOpen(): boolean
  /** Begins to read what the run will need; undefined when it is at hand. */
  fetch(job: JobState): Promise<Brief> | undefined
  /** A lease is durable: run it. */
  begin(job: JobState, lease: Lease, brief: Promise<Brief> | undefined): void
}

/** Leases that were begun between one `landed` and the next. */
interface Wave {
  underWay: number
  readonly before: Promise<unknown> | undefined
  over: (() => void) | undefined
}

/**
 * Pending index + free slots -> leases. The index only proposes; whether the job is ours is decided by the append.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #due: Alarm
  readonly #poll: Alarm
  #lanes: Lane[] = []
  #lanesSeen = -1
  #pausesSeen = -1
  #leasing = 0
  #wave: Wave = { underWay: 0, before: undefined, over: undefined }
  /** Leases begun: of every three, the last goes to a job that nobody has started by hand. */
  #turn = 0
  /** Leases of the next commit so far. */
  #begun = 0
  #pausedUntil = 0
  #stopped = false

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#due = new Alarm(options.clock, () => options.journal.wake())
    this.#poll = new Alarm(options.clock, () => options.journal.wake())
    options.board.pending.serve(options.pool.order)
  }

  get leasing(): number {
    return this.#leasing
  }

  /** Resolves once each lease that was begun before this call is recorded or refused. Those that come later are not waited for. */
  async landed(): Promise<void> {
    const wave = this.#wave
    const over = new Promise<void>((resolve) => {
      if (wave.underWay === 0) resolve()
      else wave.over = resolve
    })
    const all = Promise.all([wave.before, over]).then(() => {})
    this.#wave = { underWay: 0, before: all, over: undefined }
    await all
  }

  /** Takes what the free slots allow. All leases of one call end up in one commit. */
  dispatch(): void {
    const { board, clock, pool, isOpen, journal } = this.#options
    const most = Math.min(pool.batch, journal.portionOf(pool.room.slots)) - this.#begun
    this.#begun = 0
    if (this.#stopped || !isOpen()) return
    const now = clock.now()
    // Whoever is woken by events need not look: this is for what they might miss.
    this.#poll.by(now + pool.pollMs)
    if (now < this.#pausedUntil) return this.#due.by(this.#pausedUntil)
    board.pending.promoteDue(now)
    const begun = this.#leaseUpTo(Math.min(pool.room.free, most), now)
    if (begun === most && pool.room.free > 0) journal.wake(pool.room.free)
    const next = board.pending.nextDue()
    if (next !== undefined) this.#due.by(next)
  }

  #leaseUpTo(most: number, now: number): number {
    const { board, pool, suspects, fetch, keys } = this.#options
    for (let begun = 0; begun < most; begun += 1) {
      const closed = suspects.closedUntil(now)
      if (closed !== undefined) this.#due.by(closed)
      const job = board.pending.take(pool.room.among(this.#accepted()), {
        order: pool.order,
        suspects: closed === undefined,
        first: this.#turn % 3 === 2 ? 'ordinary' : 'manual',
        hasRoom: keys.hasRoom,
      })
      if (job === undefined) return begun
      this.#turn += 1
      if (job.lost > 0) suspects.enter(job, now + pool.leaseMs)
      // Read while the lease is on its way: the store then also knows where the stream is.
      const brief = fetch(job)
      void this.#lease(job.id, job, commands.lease, { job, brief }).catch((error) => this.#failed(job, error))
    }
    return most
  }

  #accepted(): readonly Lane[] {
    const { board, queues } = this.#options
    const { pending } = board
    if (pending.laneCount !== this.#lanesSeen || queues.changes !== this.#pausesSeen) {
      this.#lanes = [...pending.lanes].filter((lane) => this.#accepts(lane))
      this.#lanesSeen = pending.laneCount
      this.#pausesSeen = queues.changes
    }
    return this.#lanes
  }

  #accepts(lane: Lane): boolean {
    const { pool, queues } = this.#options
    return pool.accepts(lane) && !queues.isPaused(lane.queue)
  }

  /**
   * A job that this process enqueues in this very tick, with a slot free and nothing before it: it is queued and leased in
   * one commit. The lane says nothing of when it may run: call this only for a job that may run at once. True: it is leased.
   */
  anticipate(id: string, lane: Lane): boolean {
    const { board, pool, isOpen, clock, journal, keys } = this.#options
    const isFree = isOpen() && this.#begun < pool.batch && pool.room.free > 0
    if (!isFree || !this.#accepts(lane) || !pool.room.hasRoom(lane) || clock.now() < this.#pausedUntil) return false
    if (!board.pending.isEmpty(this.#accepted(), { order: pool.order, hasRoom: keys.hasRoom })) return false
    this.#begun += 1
    void this.#lease(id, lane, commands.leaseNew).catch(() => journal.wake())
    return true
  }

  async #lease(
    id: string,
    lane: Lane,
    command: typeof commands.lease,
    fetched?: { readonly job: JobState; readonly brief: Promise<Brief> | undefined },
  ): Promise<void> {
    const { ids, workerId, codeVersion, journal, board, begin, pool, keys } = this.#options
    const { room, leaseMs } = pool
    const token = ids.uuid()
    const wave = this.#wave
    this.#leasing += 1
    wave.underWay += 1
    room.take(lane)
    try {
      const lease = (claim?: KeyClaim): Command<void> => command(id, { token, workerId, leaseMs, codeVersion }, claim)
      await (fetched === undefined ? journal.submit(lease()) : keys.lease(fetched.job, token, lease))
    } catch (error) {
      room.give(lane)
      throw error
    } finally {
      this.#leasing -= 1
      wave.underWay -= 1
      if (wave.underWay === 0) wave.over?.()
    }
    const leased = board.get(id)
    // Until the commit its payload may have been replaced.
    const brief = leased?.rare?.payloadAt === fetched?.job.rare?.payloadAt ? fetched?.brief : undefined
    // Between the commit and now somebody may have cancelled it.
    if (leased?.lease?.token === token) return begin(leased, leased.lease, brief)
    room.give(lane)
    journal.wake()
  }

  /**
   * A rival was faster: its event moves the job. Its key is full: it is offered again when that has room. A store that cannot
   * write: the job is offered again after a pause.
   */
  #failed(job: JobState, error: Error): void {
    const { board, clock, log, journal, suspects } = this.#options
    suspects.leave(job.id)
    const isRefused = error instanceof JobledgerError && error.family === 'job'
    if (!isRefused) {
      log.error({ err: error, jobId: job.id }, 'lease not recorded')
      this.#pausedUntil = clock.now() + STORE_PAUSE
    }
    const isLeft = !isRefused || error instanceof KeyAtLimit
    if (isLeft && board.get(job.id) === job) board.pending.push(job, clock.now())
    journal.wake()
  }

  /** For good: a timer that is still set keeps the process alive. */
  stop(): void {
    this.#stopped = true
    this.#due.stop()
    this.#poll.stop()
  }
}
