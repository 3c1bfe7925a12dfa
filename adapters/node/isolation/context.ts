/** What a handler in a child process is told about its run. Whatever only the parent can do, it asks the parent for. */
import type { Duration } from '../../../domain/duration.js'
import { InvalidOption, InvalidPayload } from '../../../domain/errors.js'
import { LeaseLost } from '../../../domain/rejection.js'
import { NotInChild } from '../../../runtime/errors.js'
import type { Logger } from '../../../runtime/ports/logger.js'
import type { DependencyError, DependencyResult } from '../../../runtime/read/dependencies.js'
import type { JobContext } from '../../../runtime/work/run/context.js'
import { toRetryTime } from '../../../runtime/work/run/handler-errors.js'
import { limitStep } from '../../../runtime/work/run/time-limit.js'
import { encode } from '../../../runtime/write/codec.js'
import type { Enqueueing, TraceCarrier } from '../../../runtime/write/contract.js'
import { systemClock } from '../clock.js'
import { ledgerTo } from './enqueueing.js'
import { loggerTo } from './log-lines.js'
import type { ContextFacts, FromChild, Request, Stored } from './messages.js'

/** Without the turn, which whoever sends it adds. */
type Unsent<Message> = Message extends unknown ? Omit<Message, 'turn'> : never
type Say = (message: Unsent<FromChild>) => void

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
}

export class ChildContext implements JobContext {
  retries: boolean
  readonly log: Logger
  readonly ledger: Enqueueing
  readonly #facts: ContextFacts
  readonly #maxBodyBytes: number
  readonly #say: Say
  readonly #controller = new AbortController()
  readonly #waiting = new Map<number, Waiting>()
  #questions = 0
  #isOver = false

  constructor(facts: ContextFacts, maxBodyBytes: number, say: Say) {
    this.#facts = facts
    this.#maxBodyBytes = maxBodyBytes
    this.#say = say
    this.retries = facts.retries
    this.ledger = ledgerTo((request) => this.#ask(request))
    this.log = loggerTo((line) => {
      if (!this.#isOver) say(line)
    })
  }

  get id(): string {
    return this.#facts.id
  }
  get type(): string {
    return this.#facts.type
  }
  get name(): string | undefined {
    return this.#facts.name
  }
  get queue(): string {
    return this.#facts.queue
  }
  get channel(): string {
    return this.#facts.channel
  }
  get run(): number {
    return this.#facts.run
  }
  get attempt(): number {
    return this.#facts.attempt
  }
  get workerId(): string {
    return this.#facts.workerId
  }
  get user(): string | undefined {
    return this.#facts.user
  }
  get trace(): TraceCarrier | undefined {
    return this.#facts.trace
  }
  get manual(): boolean {
    return this.#facts.manual
  }
  get trigger(): JobContext['trigger'] {
    return this.#facts.trigger
  }
  get triggers(): readonly string[] {
    return this.#facts.triggers
  }
  get correlationId(): string {
    return this.#facts.correlationId
  }
  get causationId(): string | undefined {
    return this.#facts.causationId
  }
  get signal(): AbortSignal {
    return this.#controller.signal
  }
  get deadline(): Date | undefined {
    return this.#facts.deadline
  }
  get value(): unknown {
    throw new NotInChild('ctx.value')
  }
  finishWith(): void {
    throw new NotInChild('ctx.finishWith')
  }

  async heartbeat(progress?: number, partial?: unknown): Promise<void> {
    if (progress !== undefined && !Number.isFinite(progress)) {
      throw new InvalidOption('heartbeat.progress', 'a finite number', progress)
    }
    const stored = encode(partial, 'heartbeat.partial', this.#maxBodyBytes, true)
    await this.#ask({ ask: 'heartbeat', progress, partial: stored })
  }

  async dependencies(): Promise<DependencyResult[]> {
    return (await this.#ask({ ask: 'dependencies' })) as DependencyResult[]
  }

  async dependencyErrors(): Promise<DependencyError[]> {
    return (await this.#ask({ ask: 'dependencyErrors' })) as DependencyError[]
  }

  withTimeout<Result>(limit: Duration, step: (signal: AbortSignal) => Result | Promise<Result>): Promise<Result> {
    return limitStep(limit, step, this, systemClock)
  }

  noRetry(): void {
    this.retries = false
    if (!this.#isOver) this.#say({ kind: 'noRetry' })
  }

  snooze(until: Date | Duration): void {
    const now = Date.now()
    const at = toRetryTime(until, now, 'snooze')
    // A wait is told as a wait: the parent counts it on its own clock.
    if (!this.#isOver) this.#say({ kind: 'snooze', until: until instanceof Date ? until : at - now })
  }

  result(value: unknown): Stored {
    return encode(value, 'result', this.#maxBodyBytes, true)
  }

  #ask(request: Request): Promise<unknown> {
    if (this.#isOver) return Promise.reject(this.#late())
    const question = ++this.#questions
    return new Promise((resolve, reject) => {
      try {
        this.#say({ kind: 'question', question, request })
        this.#waiting.set(question, { resolve, reject })
      } catch (error) {
        reject(new InvalidPayload(request.ask, 'what can be sent to another process', (error as Error).message))
      }
    })
  }

  #late(): LeaseLost {
    return new LeaseLost(this.id, `of run ${this.run}`)
  }

  /** What the parent has to say to a question. */
  take(question: number): Waiting | undefined {
    const waiting = this.#waiting.get(question)
    this.#waiting.delete(question)
    return waiting
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason)
  }

  /** The handler has settled: what it has left behind is refused, or not heard. */
  end(): void {
    this.#isOver = true
    for (const { reject } of this.#waiting.values()) reject(this.#late())
    this.#waiting.clear()
  }
}
