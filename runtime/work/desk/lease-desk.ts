/** The lease protocol: jobs handed to workers that are not handlers in this process. */
import type { Subscription } from 'rxjs'
import type { Duration } from '../../../domain/duration.js'
import { toMs } from '../../../domain/duration.js'
import { InvalidOption, JobledgerError } from '../../../domain/errors.js'
import type { JobState, Lease } from '../../../domain/job/evolve.js'
import { InPausedQueue } from '../../../domain/queue/decide.js'
import { JobNotPending, KeyAtLimit, LeaseLost, WorkerNotActive, WorkerUnknown } from '../../../domain/rejection.js'
import { WorkerGone } from '../../../domain/worker/decide.js'
import type { Lane } from '../../../projections/pending-index.js'
import { checkKeys, toName, toSignal, toTexts } from '../../checks.js'
import { LeaseTimeout } from '../../errors.js'
import type { Cancel, Clock } from '../../ports/clock.js'
import type { Ids } from '../../ports/ids.js'
import type { Dependencies, DependencyResult } from '../../read/dependencies.js'
import type { Feed } from '../../read/feed.js'
import type { Queries } from '../../read/queries.js'
import * as commands from '../../write/commands.js'
import type { TraceCarrier } from '../../write/contract.js'
import type { Journal } from '../../write/journal.js'
import * as queues from '../../write/queue-commands.js'
import * as workers from '../../write/worker-commands.js'
import { Alarm } from '../alarm.js'
import type { KeyRoom } from '../key-room.js'
import type { JobTrigger } from '../run/context.js'
import { toFailure } from '../run/failure.js'
import type { Payloads } from '../run/payloads.js'
import { contentOf } from '../run/payloads.js'

export interface LeaseOptions {
  /** A worker that `workers.register` has made known. */
  readonly workerId: string
  /** Types, queues and channels to choose from, exact; left out: any. '' is a real name. */
  readonly types?: string | readonly string[]
  readonly queues?: string | readonly string[]
  readonly channels?: string | readonly string[]
  /** How long to wait for a job; 0 looks once. Default: until the signal aborts. */
  readonly timeout?: Duration
  readonly signal?: AbortSignal
  /** How long the lease lasts without a heartbeat, at least 1 s, default 30 s. */
  readonly lease?: Duration
}

/** A job in the hands of a worker. */
export interface JobLease {
  readonly id: string
  /** What the worker shows with all it has to say of this run. */
  readonly token: string
  readonly type: string
  readonly queue: string
  readonly channel: string
  readonly name?: string
  readonly payload: unknown
  /** Which shape the payload has, as its type counts them. */
  readonly payloadVersion: number
  readonly run: number
  readonly attempt: number
  readonly maxAttempts: number | null
  /** How long a run may take; the worker keeps to it by itself. null: no limit. */
  readonly timeoutMs: number | null
  /** Heartbeats move it (ms since the epoch). */
  readonly expiresAt: number
  readonly user?: string
  readonly trace?: TraceCarrier
  /** The trigger that made it, if one did. */
  readonly trigger?: JobTrigger
  /** Outcomes and results of the jobs it depends on, in the order they were named. */
  readonly dependencies: readonly DependencyResult[]
}

const KEYS = new Set(['workerId', 'types', 'queues', 'channels', 'timeout', 'signal', 'lease'])
const BY_ID_KEYS = new Set(['lease'])
const DEFAULT_LEASE_MS = 30_000

interface Waiter {
  readonly workerId: string
  readonly leaseMs: number
  accepts(lane: Lane): boolean
  /** Lanes it accepts of the first `seen` there are. */
  lanes: Lane[]
  seen: number
  /** It waits for nothing that is not there. */
  readonly once: boolean
  /** Somebody is still there to take it. */
  open: boolean
  give(lease: JobLease): void
  fail(reason: Error): void
}

export interface LeaseDeskOptions {
  readonly feed: Feed
  readonly journal: Journal
  readonly clock: Clock
  readonly ids: Ids
  readonly payloads: Payloads
  readonly room: KeyRoom
  readonly queries: Queries
  readonly dependencies: Dependencies
  readonly codeVersion: string | undefined
}

export class LeaseDesk {
  readonly #options: LeaseDeskOptions
  /** In the order in which they came: one job serves one of them. */
  #waiters: Waiter[] = []
  readonly #due: Alarm
  /** Why nothing is leased any more. */
  #closed: Error | undefined
  #stopFeeding: (() => void) | undefined
  #subscription: Subscription | undefined

  constructor(options: LeaseDeskOptions) {
    this.#options = options
    this.#due = new Alarm(options.clock, () => options.journal.wake())
  }

  /** Waits for a job. Throws WorkerUnknown, WorkerGone, LeaseTimeout, InvalidOption, or the signal's reason; then nothing was leased. */
  async lease(given: LeaseOptions): Promise<JobLease> {
    checkKeys(given, KEYS, 'lease')
    const { timeout } = given
    const workerId = toName(given.workerId, 'lease.workerId')
    const leaseMs = toLeaseMs(given.lease, 'lease.lease')
    const accepts = toFilter(given)
    const waitMs = timeout === undefined ? Number.POSITIVE_INFINITY : toMs(timeout, 'lease.timeout')
    const signal = toSignal(given.signal, 'lease.signal')
    signal?.throwIfAborted()
    await this.checkWorker(workerId)
    // Aborted or closed while we looked: nobody would tell us any more.
    signal?.throwIfAborted()
    if (this.#closed !== undefined) throw this.#closed
    return new Promise((resolve, reject) => {
      let cancel: Cancel | undefined
      const leave = (): void => {
        waiter.open = false
        cancel?.()
        signal?.removeEventListener('abort', abort)
        this.#waiters = this.#waiters.filter((other) => other !== waiter)
        if (this.#waiters.length === 0) this.#stop()
      }
      const fail = (reason: Error): void => {
        leave()
        reject(reason)
      }
      const give = (lease: JobLease): void => {
        leave()
        resolve(lease)
      }
      const abort = (): void => fail(signal?.reason)
      const once = waitMs === 0
      const waiter: Waiter = { workerId, leaseMs, accepts, lanes: [], seen: -1, once, open: true, give, fail }
      signal?.addEventListener('abort', abort, { once: true })
      this.#enter(waiter)
      if (once) this.#lookOnce(waiter)
      else if (Number.isFinite(waitMs)) {
        const { clock } = this.#options
        cancel = clock.at(clock.now() + waitMs, () => fail(new LeaseTimeout(waitMs)))
      }
    })
  }

  /** With no time at all, what is there now is still handed over. */
  #lookOnce(waiter: Waiter): void {
    this.#serve()
    if (this.#waiters.includes(waiter)) waiter.fail(new LeaseTimeout(0))
  }

  /** Leases this very job, at once. Throws JobNotPending, JobUnknown, JobRemoved, WorkerUnknown, WorkerGone, WorkerNotActive, InvalidOption. */
  async leaseById(id: string, workerId: string, given: Pick<LeaseOptions, 'lease'>): Promise<JobLease> {
    toName(id, 'leaseById.id')
    checkKeys(given, BY_ID_KEYS, 'leaseById')
    const leaseMs = toLeaseMs(given.lease, 'leaseById.lease')
    await this.checkWorker(toName(workerId, 'leaseById.workerId'))
    const { feed, queries } = this.#options
    // Whether it is blocked is for the projection to say: let it see all there is.
    await queries.catchUp()
    const { state } = await queries.read(id)
    if (state.phase === 'waiting' && feed.board.graph.isBlocked(id)) throw new JobNotPending(id, 'blocked')
    const token = await this.#take(state, workerId, leaseMs)
    return this.handOver(id, token)
  }

  #enter(waiter: Waiter): void {
    this.#waiters.push(waiter)
    const { journal, feed } = this.#options
    this.#subscription ??= feed.pages$.subscribe(() => journal.wake())
    this.#stopFeeding ??= journal.beforeFlush(() => this.#serve())
    journal.wake()
  }

  #stop(): void {
    this.#stopFeeding?.()
    this.#subscription?.unsubscribe()
    this.#stopFeeding = undefined
    this.#subscription = undefined
    this.#due.stop()
  }

  #serve(): void {
    const { feed, clock } = this.#options
    const { pending } = feed.board
    const now = clock.now()
    pending.promoteDue(now)
    for (const waiter of [...this.#waiters]) {
      if (!this.#mayTake(waiter)) continue
      const job = pending.take(this.#openLanesOf(waiter), { anyRank: true, hasRoom: this.#options.room.hasRoom })
      if (job === undefined) continue
      this.#waiters = this.#waiters.filter((other) => other !== waiter)
      void this.#hand(job, waiter)
    }
    const next = pending.nextDue()
    if (next !== undefined && this.#waiters.length > 0) this.#due.by(next)
  }

  /** A worker that is paused waits; one that was removed meanwhile is told so. */
  #mayTake(waiter: Waiter): boolean {
    const worker = this.#options.feed.workers.get(waiter.workerId)
    if (worker === undefined) void this.checkWorker(waiter.workerId).catch((error) => waiter.fail(error))
    return worker?.status === 'active'
  }

  #openLanesOf(waiter: Waiter): readonly Lane[] {
    const { queues } = this.#options.feed
    const lanes = this.#lanesOf(waiter)
    return queues.paused.size === 0 ? lanes : lanes.filter((lane) => !queues.isPaused(lane.queue))
  }

  #lanesOf(waiter: Waiter): readonly Lane[] {
    const { pending } = this.#options.feed.board
    if (waiter.seen !== pending.laneCount) {
      waiter.lanes = [...pending.lanes].filter((lane) => waiter.accepts(lane))
      waiter.seen = pending.laneCount
    }
    return waiter.lanes
  }

  async #hand(job: JobState, waiter: Waiter): Promise<void> {
    const { journal } = this.#options
    try {
      const token = await this.#take(job, waiter.workerId, waiter.leaseMs)
      const lease = waiter.open ? await this.handOver(job.id, token) : undefined
      if (lease !== undefined && waiter.open) return waiter.give(lease)
      // Gone while the lease was on its way: the next one gets it at once.
      await journal.submit(commands.release(job.id, token, { by: 'requeue' }))
    } catch (error) {
      await this.#refused(job, waiter, error as Error)
    }
  }

  /** A rival was faster: its event moves the job. If it was not about the job, that one is offered again. */
  async #refused(job: JobState, waiter: Waiter, error: Error): Promise<void> {
    const { feed, clock, queries } = this.#options
    const isBarred = BARS.some((bar) => error instanceof bar)
    const isTaken = error instanceof JobledgerError && error.family !== 'store' && !isBarred
    // What bars it is in the log: seen here too, the same is not tried again and again.
    if (isBarred) await queries.catchUp().catch(() => {})
    const isLeft = !isTaken || error instanceof KeyAtLimit
    if (isLeft && feed.board.get(job.id) === job) feed.board.pending.push(job, clock.now())
    if (!waiter.open) return
    if (isTaken || error instanceof WorkerNotActive || error instanceof InPausedQueue) this.#back(waiter)
    else waiter.fail(error)
  }

  /** It keeps its place in the line. */
  #back(waiter: Waiter): void {
    this.#enter(waiter)
    this.#waiters = [waiter, ...this.#waiters.slice(0, -1)]
    if (waiter.once) this.#lookOnce(waiter)
  }

  /** The token. */
  async #take(job: JobState, workerId: string, leaseMs: number): Promise<string> {
    const { ids, room, codeVersion } = this.#options
    const { id, queue } = job
    const token = ids.uuid()
    await room.lease(job, token, (claim) =>
      workers.inTheNameOf(
        workerId,
        queues.unlessPaused(id, queue, commands.lease(id, { token, workerId, leaseMs, codeVersion }, claim)),
      ),
    )
    return token
  }

  /** What the worker is told. A payload that cannot be read ends the job: nobody could run it. */
  async #brief(id: string, token: string): Promise<JobLease> {
    const { feed, payloads, dependencies, journal } = this.#options
    const job = feed.board.leased.get(token)
    if (job === undefined) throw new LeaseLost(id, token)
    const brief = await payloads.load(job)
    let content: ReturnType<typeof contentOf>
    try {
      content = contentOf(brief, job.rare)
    } catch (error) {
      await journal.submit(commands.fail(id, token, { ...toFailure(error, 'invalid-payload'), retryable: false }))
      throw new LeaseLost(id, token)
    }
    const { type, queue, channel, name, run, maxAttempts, timeoutMs } = job
    const { payload, trigger } = content
    const { facts, payloadVersion } = brief
    const { attempt, expiresAt } = job.lease as Lease
    const { user, ...trace } = facts.context ?? {}
    return {
      ...{ id, token, type, queue, channel, payload, payloadVersion, run, attempt, maxAttempts, timeoutMs, expiresAt },
      ...(name !== undefined && { name }),
      ...(user !== undefined && { user }),
      ...(trace.traceparent !== undefined && { trace: trace as TraceCarrier }),
      ...(trigger !== undefined && { trigger }),
      dependencies: await dependencies.results(job),
    }
  }

  /** As `find`, but true of all that is in the log by now: another process may have just ended the run. */
  async look(token: string): ReturnType<LeaseDesk['find']> {
    await this.#options.queries.catchUp()
    return this.find(token)
  }

  /** A lease that nobody hears of would be lost, and the job with the third of them. */
  async handOver(id: string, token: string): Promise<JobLease> {
    try {
      return await this.#brief(id, token)
    } catch (error) {
      if (!(error instanceof LeaseLost)) await this.#options.journal.submit(commands.release(id, token)).catch(() => {})
      throw error
    }
  }

  /** The job that the token is or was for, as far as this process has seen. Throws LeaseLost. */
  async find(token: string): Promise<{ readonly id: string; readonly leaseMs: number; readonly cancelled: boolean }> {
    toName(token, 'token')
    const known = this.#known(token)
    if (known !== undefined) return known
    // Another process may have just leased it.
    await this.#options.queries.catchUp()
    const found = this.#known(token)
    if (found === undefined) throw new LeaseLost(undefined, token)
    return found
  }

  #known(token: string): { id: string; leaseMs: number; cancelled: boolean } | undefined {
    const { board } = this.#options.feed
    const job = board.leased.get(token)
    if (job?.lease !== undefined) {
      return { id: job.id, leaseMs: job.lease.expiresAt - job.lease.seenAt, cancelled: false }
    }
    const lease = board.cancelledLease(token)
    if (lease === undefined || lease.until < this.#options.clock.now()) return undefined
    return { id: lease.id, leaseMs: 0, cancelled: true }
  }

  /** Throws WorkerUnknown, WorkerGone. */
  async checkWorker(workerId: string): Promise<void> {
    const { feed, queries, journal } = this.#options
    if (feed.workers.get(workerId) !== undefined) return
    await queries.catchUp()
    // One that has come and gone is known to the log alone.
    if (feed.workers.get(workerId) === undefined) await journal.submit(workers.check(workerId))
  }

  close(reason: Error): void {
    this.#closed = reason
    for (const waiter of [...this.#waiters]) waiter.fail(reason)
  }
}

/** Why a lease may be refused that has nothing to do with the job. */
const BARS = [WorkerUnknown, WorkerGone, WorkerNotActive, InPausedQueue]

/** Throws InvalidOption. */
export function toLeaseMs(lease: Duration | undefined, option: string): number {
  const ms = lease === undefined ? DEFAULT_LEASE_MS : toMs(lease, option)
  if (ms >= 1_000) return ms
  throw new InvalidOption(option, 'a duration of at least 1 s', lease)
}

function toFilter({ types, queues, channels }: LeaseOptions): (lane: Lane) => boolean {
  const [ofType, ofQueue, ofChannel] = [
    toTexts(types, 'lease.types'),
    toTexts(queues, 'lease.queues'),
    toTexts(channels, 'lease.channels'),
  ]
  return ({ type, queue, channel }) =>
    (ofType?.includes(type) ?? true) && (ofQueue?.includes(queue) ?? true) && (ofChannel?.includes(channel) ?? true)
}
