/** What a worker that is not a handler in this process may say with its token, and what may be asked about leases. */
import type { Duration } from '../../../domain/duration.js'
import { toMs } from '../../../domain/duration.js'
import { InvalidOption } from '../../../domain/errors.js'
import type { Metadata } from '../../../domain/event.js'
import type { Lease } from '../../../domain/job/evolve.js'
import { LeaseLost } from '../../../domain/rejection.js'
import { checkKeys, toCount, toFlag, toName } from '../../checks.js'
import type { Clock } from '../../ports/clock.js'
import type { Feed } from '../../read/feed.js'
import { encode } from '../../write/codec.js'
import * as commands from '../../write/commands.js'
import type { Journal } from '../../write/journal.js'
import type { JobTrigger } from '../run/context.js'
import { toFailure } from '../run/failure.js'
import { isA, isRetryable, RetryAt, toRetryTime } from '../run/handler-errors.js'
import { triggerOf } from '../run/payloads.js'
import type { LeaseDesk } from './lease-desk.js'

export interface HeartbeatOptions {
  /** Any finite number you count in. */
  readonly progress?: number
  readonly partial?: unknown
}

export interface FailOptions {
  /** false: no further attempt will help. Default: as the error and the job's type say. */
  readonly retryable?: boolean
  /** When to try again, instead of the backoff's own time: a Date, or a wait from now. */
  readonly retryAt?: Date | Duration
}

/** The job behind a token. */
export interface LeasedJob {
  readonly id: string
  /** It was cancelled: stop, nobody wants the result. */
  readonly cancelled: boolean
  /** The trigger that made it, if one did; its document came with the lease. Not told once it was cancelled. */
  readonly trigger?: Omit<JobTrigger, 'event'>
}

/** A lease whose holder has been silent. */
export interface StaleLease {
  readonly token: string
  readonly id: string
  readonly workerId: string
  /** Last sign of life and end of the lease (ms since the epoch). */
  readonly seenAt: number
  readonly expiresAt: number
}

const HEARTBEAT_KEYS = new Set(['progress', 'partial'])
const FAIL_KEYS = new Set(['retryable', 'retryAt'])

export class LeaseProtocol {
  readonly #desk: LeaseDesk
  readonly #journal: Journal
  readonly #feed: Feed
  readonly #clock: Clock
  readonly #maxBodyBytes: number

  constructor(options: {
    readonly desk: LeaseDesk
    readonly journal: Journal
    readonly feed: Feed
    readonly clock: Clock
    readonly maxBodyBytes: number
  }) {
    this.#desk = options.desk
    this.#journal = options.journal
    this.#feed = options.feed
    this.#clock = options.clock
    this.#maxBodyBytes = options.maxBodyBytes
  }

  /** Also for a while after a cancel, so that the worker learns of it. Throws LeaseLost. */
  async jobOf(token: string): Promise<LeasedJob> {
    const { id, cancelled } = await this.#desk.look(token)
    const trigger = this.#feed.board.leased.get(token)?.rare?.trigger
    return { id, cancelled, ...(trigger !== undefined && { trigger: triggerOf(trigger) }) }
  }

  /** Extends the lease. Throws LeaseLost, InvalidOption. */
  async heartbeat(token: string, given: HeartbeatOptions = {}): Promise<void> {
    checkKeys(given, HEARTBEAT_KEYS, 'heartbeat')
    const { progress, partial } = given
    if (progress !== undefined && !Number.isFinite(progress)) {
      throw new InvalidOption('heartbeat.progress', 'a finite number', progress)
    }
    const body = partial === undefined ? undefined : encode(partial, 'heartbeat.partial', this.#maxBodyBytes)
    const { id, leaseMs, cancelled } = await this.#desk.find(token)
    if (cancelled) throw new LeaseLost(id, token)
    return this.#journal.submit(commands.heartbeat(id, { token, progress, partial: body }, leaseMs))
  }

  /** Throws LeaseLost, InvalidPayload. */
  async finish(token: string, result: unknown, metadata?: Metadata): Promise<void> {
    const body = encode(result, 'finish.result', this.#maxBodyBytes, true)
    const { id } = await this.#desk.find(token)
    return this.#journal.submit(commands.finish(id, token, { result: body }), metadata)
  }

  /** A failed attempt: tried again as the job's policy says. `error`: anything that can be thrown. Throws LeaseLost. */
  async fail(token: string, error: unknown, given: FailOptions = {}, metadata?: Metadata): Promise<void> {
    checkKeys(given, FAIL_KEYS, 'fail')
    const said = given.retryable === undefined ? undefined : toFlag(given.retryable, 'fail.retryable')
    const { retryAt = isA(error, RetryAt) ? error.when : undefined } = given
    const nextRunAt = retryAt === undefined ? undefined : toRetryTime(retryAt, this.#clock.now(), 'fail.retryAt')
    const { id } = await this.#desk.find(token)
    const { rare } = this.#feed.board.leased.get(token) ?? {}
    const retryable = said ?? isRetryable(error, rare?.retryOn)
    const failure = { ...toFailure(error, 'error'), retryable, nextRunAt }
    await this.#journal.submit(commands.fail(id, token, failure), metadata)
  }

  /**
   * Sends the job back to its place unless it was re-run `maxRetries` times in this round already; then it ends as succeeded
   * with `result`. True: it runs again. Throws LeaseLost.
   */
  async requeueOrFinish(token: string, maxRetries: number, result?: unknown, metadata?: Metadata): Promise<boolean> {
    const limit = toCount(maxRetries, 'requeueOrFinish.maxRetries', 0)
    const body = encode(result, 'requeueOrFinish.result', this.#maxBodyBytes, true)
    const { id } = await this.#desk.find(token)
    return this.#journal.submit(commands.requeueOrFinish(id, token, limit, body), metadata)
  }

  /** Ends a job that was never leased as failed, keeping `result`. Throws JobUnknown, JobRunning, JobEnded, JobNotPending. */
  async failUnstarted(id: string, result?: unknown, metadata?: Metadata): Promise<void> {
    const body = encode(result, 'failUnstarted.result', this.#maxBodyBytes, true)
    return this.#journal.submit(commands.failUnstarted(toName(id, 'failUnstarted.id'), body), metadata)
  }

  /** Leases whose last sign of life is strictly longer ago than this; taking the lease was the first. Longest silence first. */
  staleLeases(olderThan: Duration): StaleLease[] {
    const ms = toMs(olderThan, 'staleLeases.olderThan')
    const now = this.#clock.now()
    const stale: StaleLease[] = []
    for (const { id, lease } of this.#feed.board.leased.values()) {
      const { token, workerId, seenAt, expiresAt } = lease as Lease
      if (now - seenAt > ms) stale.push({ token, id, workerId, seenAt, expiresAt })
    }
    return stale.sort((a, b) => a.seenAt - b.seenAt)
  }
}
