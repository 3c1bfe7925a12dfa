/** One leased run, from its payload to its outcome: load -> check -> handle -> classify. */

import { InvalidOption, InvalidPayload } from '../../domain/errors.js'
import type { Failure } from '../../domain/job/decide.js'
import type { JobState, Lease } from '../../domain/job/evolve.js'
import { ShuttingDown, Timeout } from '../errors.js'
import type { Logger } from '../ports/logger.js'
import { encode } from '../write/codec.js'
import type { DependencyResult, JobContext } from './context.js'
import type { JobDefinition } from './definition.js'
import { validate } from './definition.js'

/** How a run can end, as far as its worker is concerned. */
export type AttemptOutcome =
  | { readonly kind: 'succeeded'; readonly result: string | Uint8Array | undefined }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** Stopped by a shutdown: the lease is given back unspent. */
  | { readonly kind: 'interrupted' }
  /** Cancelled or lost: the log has said all there is to say. */
  | { readonly kind: 'superseded' }

/** What a run needs of the engine. */
export interface AttemptServices {
  readonly log: Logger
  readonly maxBodyBytes: number
  heartbeat(attempt: Attempt, progress: number | undefined, partial: string | undefined): Promise<void>
  dependencies(job: JobState): Promise<DependencyResult[]>
}

/** A run in progress. It concludes once: whoever comes second is not heard. */
export class Attempt implements JobContext {
  readonly job: JobState
  readonly lease: Lease
  /** When the run has taken too long; Infinity without a timeout. */
  readonly timeoutAt: number
  /** When the lease wants its next heartbeat. Kept by the lease keeper. */
  beatAt: number
  concluded = false
  readonly #services: AttemptServices
  readonly #onEnd: (attempt: Attempt, outcome: AttemptOutcome) => void
  #controller: AbortController | undefined
  #reason: Error | undefined
  #log: Logger | undefined

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
    this.timeoutAt = job.timeoutMs === null ? Number.POSITIVE_INFINITY : lease.at + job.timeoutMs
    this.#services = services
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

  /** Made when somebody asks: it costs more than a short run. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  get log(): Logger {
    const { id, type, run } = this.job
    this.#log ??= this.#services.log.child({ jobId: id, jobType: type, run })
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

  timeOut(): void {
    const reason = new Timeout(this.id, this.job.timeoutMs as number)
    this.conclude({ kind: 'failed', failure: toFailure(reason, 'timeout') })
    this.abort(reason)
  }

  /** `load` gives the stored payload, or a promise of it. Never rejects. */
  async perform(definition: JobDefinition, load: () => unknown): Promise<void> {
    try {
      const payload = await this.#payload(definition, load)
      if (this.concluded) return
      const result = await definition.handle(payload as never, this)
      this.conclude({ kind: 'succeeded', result: encode(result, 'result', this.#services.maxBodyBytes, true) })
    } catch (thrown) {
      this.conclude(this.#classify(thrown))
    }
  }

  async #payload(definition: JobDefinition, load: () => unknown): Promise<unknown> {
    try {
      return await validate(definition, await load(), 'payload')
    } catch (error) {
      throw error instanceof InvalidPayload || error instanceof SyntaxError ? new UnusablePayload(error) : error
    }
  }

  #classify(thrown: unknown): AttemptOutcome {
    if (this.#reason instanceof ShuttingDown) return { kind: 'interrupted' }
    if (isUnusable(thrown)) {
      return { kind: 'failed', failure: { ...toFailure(thrown.cause, 'invalid-payload'), retryable: false } }
    }
    return { kind: 'failed', failure: toFailure(thrown, 'error') }
  }
}

/** Tells a payload that cannot be used from an error of the handler. */
class UnusablePayload extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause })
  }
}

/** A revoked proxy throws when it is asked what it is. */
function isUnusable(thrown: unknown): thrown is UnusablePayload {
  try {
    return thrown instanceof UnusablePayload
  } catch {
    return false
  }
}

/** Anything may be thrown, also undefined, and also something that throws when looked at. */
function toFailure(thrown: unknown, cause: Failure['cause']): Failure {
  const { name, message, stack } = describe(thrown)
  return { cause, error: name, details: JSON.stringify({ message, stack }), retryable: true }
}

function describe(thrown: unknown): { name: string; message: string; stack: string | undefined } {
  try {
    if (!(thrown instanceof Error)) return { name: 'NonError', message: `${thrown}`, stack: undefined }
    return {
      name: `${thrown.name}`.slice(0, 200) || 'Error',
      message: `${thrown.message}`,
      stack: thrown.stack && `${thrown.stack}`,
    }
  } catch {
    return { name: 'NonError', message: 'a value that cannot be shown', stack: undefined }
  }
}
