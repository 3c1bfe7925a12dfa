/** One leased run, from its payload to its outcome: load -> check -> start -> handle -> classify. */

import type { Duration } from '../../../domain/duration.js'
import { InvalidOption, InvalidPayload } from '../../../domain/errors.js'
import { courseOf } from '../../../domain/job/course.js'
import type { Failure } from '../../../domain/job/decide.js'
import type { Queued } from '../../../domain/job/events.js'
import type { JobState, Lease } from '../../../domain/job/evolve.js'
import type { LeaseLost } from '../../../domain/rejection.js'
import { toTimeout } from '../../checks.js'
import type { JobCancelled } from '../../errors.js'
import { ShuttingDown, Timeout } from '../../errors.js'
import { type Clock, delay } from '../../ports/clock.js'
import { StoreRefused } from '../../ports/event-store.js'
import type { Logger } from '../../ports/logger.js'
import type { Scope } from '../../ports/scope.js'
import type { DependencyError, DependencyResult } from '../../read/dependencies.js'
import { encode } from '../../write/codec.js'
import type { Ending } from '../../write/commands.js'
import type { Enqueueing, TraceCarrier } from '../../write/contract.js'
import type { JobContext, JobTrigger } from './context.js'
import type { RunFacts, RunnableDefinition } from './definition.js'
import { validate } from './definition.js'
import { toFailure } from './failure.js'
import { Abort, isA, isRetryable, RetryAt, toRetryTime } from './handler-errors.js'
import type { RunEnd } from './hooks.js'
import type { Brief } from './payloads.js'
import { contentOf, patiently } from './payloads.js'
import { limitStep } from './time-limit.js'

/** How long to wait before a payload that could not be read is read again (ms). */
const READ_PAUSE = 500

/** What takes a run's lease away. */
export type Loss = JobCancelled | LeaseLost

/** How a run can end, as far as its worker is concerned. */
export type AttemptOutcome =
  | ({ readonly kind: 'succeeded'; readonly returned: unknown } & Ending)
  | { readonly kind: 'failed'; readonly failure: Failure; readonly thrown: unknown }
  /** Given back by its handler, to run again then. */
  | { readonly kind: 'snoozed'; readonly runAt: number }
  /** Stopped by a shutdown: the lease is given back unspent. */
  | { readonly kind: 'interrupted' }
  /** Cancelled or lost: the log has said all there is to say. */
  | { readonly kind: 'superseded'; readonly loss: Loss }

/** What a run needs of the engine. */
export interface AttemptServices {
  readonly maxBodyBytes: number
  /** Whether `finishWith` can be had. */
  readonly transactions: boolean
  readonly ledger: Enqueueing
  readonly scope: Scope<JobContext>
  readonly clock: Clock
  /** How long a run of this type may take at most where it runs (ms); Infinity: as long as its job says. */
  longest(type: string): number
  log(job: JobState): Logger
  heartbeat(attempt: Attempt, progress: number | undefined, partial: string | undefined): Promise<void>
  dependencies(job: JobState): Promise<DependencyResult[]>
  dependencyErrors(job: JobState): Promise<DependencyError[]>
  /** The run has another deadline than it seemed to have. */
  retime(attempt: Attempt): void
}

/** A run in progress. It concludes once: whoever comes second is not heard. */
export class Attempt implements JobContext {
  readonly job: JobState
  readonly lease: Lease
  /** When the run has taken too long; Infinity without a timeout. */
  timeoutAt: number
  /** When the lease wants its next heartbeat. Kept by the lease keeper. */
  beatAt: number
  concluded = false
  retries = true
  readonly #services: AttemptServices
  readonly #onEnd: (attempt: Attempt, outcome: AttemptOutcome) => void
  #definition: RunnableDefinition | undefined
  /** As the handler is given it. */
  #payload: unknown
  #trigger: JobTrigger | undefined
  /** It has failed, and its type is being asked about that. */
  #judging = false
  #brief: Brief | undefined
  #controller: AbortController | undefined
  #reason: Error | undefined
  #log: Logger | undefined
  #snoozedUntil: number | undefined
  #effects: Ending['effects']
  /** What `start` has returned. */
  #value: unknown
  /** Settles as `start` does; true without one, once the handler is called. */
  #begun: Promise<void> | true | undefined

  constructor(
    job: JobState,
    lease: Lease,
    beatAt: number,
    services: AttemptServices,
    onEnd: (attempt: Attempt, outcome: AttemptOutcome) => void,
  ) {
    this.job = job
    this.lease = lease
    this.beatAt = beatAt
    this.#services = services
    this.timeoutAt = this.#endOf(job.timeoutMs)
    this.#onEnd = onEnd
  }

  get id(): string {
    return this.job.id
  }
  get type(): string {
    return this.job.type
  }
  get name(): string | undefined {
    return this.job.name
  }
  get queue(): string {
    return this.job.queue
  }
  get channel(): string {
    return this.job.channel
  }
  get run(): number {
    return this.job.run
  }
  get attempt(): number {
    return this.lease.attempt
  }
  get workerId(): string {
    return this.lease.workerId
  }
  get #facts(): Queued | undefined {
    return this.#brief?.facts
  }
  get user(): string | undefined {
    return this.#facts?.context?.user
  }
  get trace(): TraceCarrier | undefined {
    const { traceparent, tracestate, baggage } = this.#facts?.context ?? {}
    if (traceparent === undefined) return undefined
    return { traceparent, ...(tracestate !== undefined && { tracestate }), ...(baggage !== undefined && { baggage }) }
  }
  get manual(): boolean {
    return this.#facts?.manual ?? false
  }
  get trigger(): JobTrigger | undefined {
    return this.#trigger
  }
  get triggers(): readonly string[] {
    return courseOf(this.job.rare)
  }
  get correlationId(): string {
    return this.#brief?.metadata?.$correlationId ?? this.id
  }
  get causationId(): string | undefined {
    return this.#brief?.metadata?.$causationId
  }
  get ledger(): Enqueueing {
    return this.#services.ledger
  }
  get value(): unknown {
    return this.#value
  }
  get deadline(): Date | undefined {
    return Number.isFinite(this.timeoutAt) ? new Date(this.timeoutAt) : undefined
  }

  /** Made when somebody asks: it costs more than a short run. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  get log(): Logger {
    this.#log ??= this.#services.log(this.job)
    return this.#log
  }

  async heartbeat(progress?: number, partial?: unknown): Promise<void> {
    if (progress !== undefined && !Number.isFinite(progress)) {
      throw new InvalidOption('heartbeat.progress', 'a finite number', progress)
    }
    const text =
      partial === undefined ? undefined : (encode(partial, 'heartbeat.partial', this.#services.maxBodyBytes) as string)
    return this.#services.heartbeat(this, progress, text)
  }

  dependencies(): Promise<DependencyResult[]> {
    return this.#services.dependencies(this.job)
  }

  dependencyErrors(): Promise<DependencyError[]> {
    return this.#services.dependencyErrors(this.job)
  }

  withTimeout<Result>(limit: Duration, step: (signal: AbortSignal) => Result | Promise<Result>): Promise<Result> {
    return limitStep(limit, step, this, this.#services.clock)
  }

  noRetry(): void {
    this.retries = false
  }

  snooze(until: Date | Duration): void {
    this.#snoozedUntil = toRetryTime(until, this.#services.clock.now(), 'snooze')
  }

  finishWith<Transaction>(effects: (transaction: Transaction) => unknown): void {
    if (typeof effects !== 'function') throw new InvalidOption('finishWith', 'a function', effects)
    if (!this.#services.transactions) {
      throw new StoreRefused('finishWith() needs a store with transactions; this one has none.')
    }
    this.#effects = effects as Ending['effects']
  }

  /** Tells the handler to stop. It may take its time; what it gives back later is judged by why it was stopped. */
  abort(reason: Error): void {
    this.#reason ??= reason
    this.#controller?.abort(this.#reason)
  }

  conclude(outcome: AttemptOutcome): void {
    if (this.concluded) return
    this.concluded = true
    this.#onEnd(this, outcome)
  }

  /** Judged like an error of the handler's own. Who is asked about it has as long as the run had. */
  timeOut(): void {
    const ms = this.timeoutAt - this.lease.at
    const reason = this.#reason instanceof Timeout ? this.#reason : new Timeout(this.id, ms)
    if (this.#judging || (this.#definition?.onError ?? this.#definition?.nextRun) === undefined) {
      this.conclude({
        kind: 'failed',
        failure: { ...toFailure(reason, 'timeout'), retryable: this.#isRetryable(reason) },
        thrown: reason,
      })
    } else {
      this.timeoutAt += ms
      void this.#judge(reason, 'timeout').then((failure) => this.conclude({ kind: 'failed', failure, thrown: reason }))
    }
    this.abort(reason)
  }

  /** `load` gives what is stored, or a promise of it. Never rejects. */
  async perform(definition: RunnableDefinition, load: () => Brief | Promise<Brief>): Promise<void> {
    this.#definition = definition
    try {
      this.#payload = await this.#read(definition, load)
      if (this.#isOver) return
      if (this.job.rare?.timeoutBy === 'type') this.#setTimeout(definition)
      const result = await this.#inCourse(() => this.#call(definition))
      if (!this.#isOver) this.conclude(this.#ended(result))
    } catch (thrown) {
      if (!this.#isOver) this.conclude(await this.classify(thrown))
    }
  }

  /** A run that is over when `start` has come through does without its handler, but not without `commit`. */
  #call({ start, handle }: RunnableDefinition): unknown {
    if (start === undefined) {
      this.#begun = true
      return handle(this.#payload as never, this)
    }
    this.#begun = this.#start(start)
    return this.#begun.then(() => (this.#isOver ? undefined : handle(this.#payload as never, this)))
  }

  async #start(start: NonNullable<RunnableDefinition['start']>): Promise<void> {
    this.#value = await start(this.#payload as never, this)
  }

  /** Whether `commit` may have to be called when the log says how this run has ended. */
  get commits(): boolean {
    return this.#begun !== undefined && this.#definition?.commit !== undefined
  }

  /** Tells the type how the run has ended, unless its `start` has not come through. Never rejects. */
  async commit(end: RunEnd): Promise<void> {
    try {
      await this.#begun
    } catch {
      return
    }
    try {
      await this.#inCourse(() => this.#definition?.commit?.(end, this))
    } catch (error) {
      this.log.error({ err: error }, 'commit failed')
    }
  }

  /** What the handler does from now on is not heard. */
  get #isOver(): boolean {
    return this.concluded || this.#judging
  }

  async #read(definition: RunnableDefinition, load: () => Brief | Promise<Brief>): Promise<unknown> {
    const loading = load()
    const brief =
      loading instanceof Promise ? await patiently(loading, load, (error) => this.#awaitStore(error)) : loading
    this.#brief = brief
    try {
      const { payload: stored, trigger } = contentOf(brief, this.job.rare)
      this.#trigger = trigger
      const { upcast, version } = definition
      const isOld = upcast !== undefined && brief.payloadVersion < version
      if (definition.schema === undefined && !isOld) return stored
      const present = (): unknown => (isOld ? upcast(stored, brief.payloadVersion) : stored)
      return await this.#inCourse(() => validate(definition, present(), 'payload'))
    } catch (error) {
      throw error instanceof InvalidPayload || error instanceof SyntaxError ? new UnusablePayload(error) : error
    }
  }

  /** The run waits under its lease, and spends no attempt on it. */
  #awaitStore(error: Error): Promise<void> {
    this.log.warn({ err: error }, 'payload not read')
    return delay(this.#services.clock, READ_PAUSE, this.signal)
  }

  get #runFacts(): RunFacts<never> {
    return { payload: this.#payload as never, id: this.id, attempt: this.attempt }
  }

  /** From the lease on, as a timeout that was known before. */
  #setTimeout({ timeoutOf }: RunnableDefinition): void {
    if (timeoutOf === undefined) return
    const given = this.#inCourse(() => timeoutOf(this.#runFacts))
    const ms = toTimeout(given, 'defineJob.timeout()')
    this.timeoutAt = this.#endOf(ms)
    this.#services.retime(this)
  }

  #endOf(timeoutMs: number | null): number {
    return this.lease.at + Math.min(timeoutMs ?? Number.POSITIVE_INFINITY, this.#services.longest(this.job.type))
  }

  #ended(result: unknown): AttemptOutcome {
    if (this.#snoozedUntil !== undefined) return { kind: 'snoozed', runAt: this.#snoozedUntil }
    const stored = encode(result, 'result', this.#services.maxBodyBytes, true)
    return { kind: 'succeeded', result: stored, effects: this.#effects, returned: result }
  }

  /** What a run comes to whose handler, or whose effects, have thrown this. Never rejects. */
  async classify(thrown: unknown): Promise<AttemptOutcome> {
    if (this.#reason instanceof ShuttingDown) return { kind: 'interrupted' }
    if (isA(thrown, UnusablePayload)) {
      const failure = { ...toFailure(thrown.cause, 'invalid-payload'), retryable: false }
      return { kind: 'failed', failure, thrown: thrown.cause }
    }
    if (isA(thrown, Abort)) return { kind: 'succeeded', result: undefined, aborted: true, returned: undefined }
    return { kind: 'failed', failure: await this.#judge(thrown, 'error'), thrown }
  }

  /** What the job's type makes of a failure of this run. Never rejects. */
  async #judge(thrown: unknown, cause: 'error' | 'timeout'): Promise<Failure> {
    this.#judging = true
    const failure = toFailure(thrown, cause)
    try {
      const mayRetry =
        this.#isRetryable(thrown) && (await this.#inCourse(() => this.#definition?.onError?.(thrown, this))) !== false
      const nextRunAt = mayRetry ? this.#nextRunAt(thrown) : undefined
      return { ...failure, retryable: mayRetry && this.retries, nextRunAt }
    } catch (error) {
      // The job goes by its policy; what its own functions have to say is for whoever wrote them.
      this.log.error({ err: error }, 'onError or nextRun failed')
      return { ...failure, retryable: this.retries }
    }
  }

  #isRetryable(thrown: unknown): boolean {
    return this.retries && isRetryable(thrown, this.#definition?.retryOn)
  }

  /** With `currentJob()` answering for this run. */
  #inCourse<R>(call: () => R): R {
    return this.#services.scope.run(this, call)
  }

  /** The error's own wish first, then the type's. */
  #nextRunAt(thrown: unknown): number | undefined {
    const now = this.#services.clock.now()
    if (isA(thrown, RetryAt)) return toRetryTime(thrown.when, now, 'RetryAt.when')
    const when = this.#inCourse(() => this.#definition?.nextRun?.({ ...this.#runFacts, error: thrown }))
    return when === undefined ? undefined : toRetryTime(when, now, 'defineJob.nextRun()')
  }
}

/** Tells a payload that cannot be used from an error of the handler. */
class UnusablePayload extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause })
  }
}
