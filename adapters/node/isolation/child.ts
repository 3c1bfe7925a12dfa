import { AsyncResource } from 'node:async_hooks'
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { InvalidPayload } from '../../../domain/errors.js'
import { ChildDied, ModuleUnusable, ShuttingDown } from '../../../runtime/errors.js'
import type { Cancel, Clock } from '../../../runtime/ports/clock.js'
import type { IsolatedModule, IsolatedRun } from '../../../runtime/ports/isolation.js'
import type { JobContext } from '../../../runtime/work/run/context.js'
import { Fatal } from '../../../runtime/work/run/handler-errors.js'
import { childEnvironment } from '../../shared/environment.js'
import { enqueueFor } from './enqueueing.js'
import { onLines } from './lines.js'
import { writeLine } from './log-lines.js'
import type { ContextFacts, FromChild, Request, Stored, ToChild } from './messages.js'
import { fromSent, toSent } from './sent-errors.js'

/** For a handler whose signal has aborted to settle by itself, and for a process that was let go to end (ms). */
const GRACE = 1_000
/** For what a dead process has said to arrive, where something that it has started keeps its pipes open (ms). */
const LAST_WORDS = 500
/** Lines of its stderr that the error of a death shows. */
const SHOWN_LINES = 20
/** Of the process's memory that is not JavaScript's heap: Node itself takes about this much (MiB). */
const BESIDE_HEAP = 64

/** Whoever runs from the TypeScript sources, as our own tests do, has the built program. */
const FOLDER = import.meta.url.endsWith('.ts') ? '../../../dist/adapters/node/isolation/' : './'
const RUNNER = fileURLToPath(new URL(`${FOLDER}runner.js`, import.meta.url))
const HAS_GROUPS = process.platform !== 'win32'

interface Turn {
  readonly number: number
  readonly context: JobContext
  readonly job: IsolatedRun['job']
  /** With `currentJob()` answering for the run, which messages know nothing of. */
  inCourse(call: () => Promise<unknown>): Promise<unknown>
  resolve(result: unknown): void
  reject(error: unknown): void
}

export const toUrl = (module: string): URL => (module.startsWith('file:') ? new URL(module) : pathToFileURL(module))

/** One child process, with one run at a time. */
export class Child {
  readonly exited: Promise<void>
  /** Of runs it was given. */
  turns = 0
  readonly #module: IsolatedModule
  readonly #clock: Clock
  readonly #process: ChildProcess
  #turn: Turn | undefined
  /** Of the run that it has now, or had last: what it prints belongs to that. */
  #context: JobContext | undefined
  readonly #lastLines: string[] = []
  #isFit = true

  constructor(module: IsolatedModule, clock: Clock) {
    this.#module = module
    this.#clock = clock
    this.#process = start(module)
    this.exited = new Promise((resolve) => {
      this.#process.once('exit', () => resolve())
      this.#process.once('error', () => {
        if (this.#process.pid === undefined) resolve()
      })
    })
    this.#listen()
  }

  /** Whether it can be given another run. */
  get isFit(): boolean {
    return this.#isFit && this.#turn === undefined && this.turns < this.#module.runs
  }

  #listen(): void {
    const child = this.#process
    child.on('message', (message) => this.#hear(message as FromChild))
    child.on('error', (cause) => this.#dead(null, null, cause))
    child.once('close', (code, signal) => this.#dead(code, signal))
    child.once('exit', (code, signal) => {
      this.#isFit = false
      const cancel = this.#clock.at(this.#clock.now() + LAST_WORDS, () => this.#dead(code, signal))
      child.once('close', cancel)
    })
    onLines(child.stdout, (line) => this.#print('debug', 'stdout', line))
    onLines(child.stderr, (line) => {
      this.#lastLines.push(line)
      if (this.#lastLines.length > SHOWN_LINES) this.#lastLines.shift()
      this.#print('warn', 'stderr', line)
    })
  }

  #print(level: 'debug' | 'warn', stream: string, line: string): void {
    try {
      this.#context?.log[level]({ stream }, line)
    } catch {
      // Nobody is there to be told that the log cannot be written.
    }
  }

  /** What the handler has returned; rejects as the port says. */
  async run(run: IsolatedRun): Promise<unknown> {
    const { payload, context, maxBodyBytes } = run
    const { signal } = context
    signal.throwIfAborted()
    let cancel: Cancel = () => {}
    const abort = (): void => {
      cancel = this.#abort(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    try {
      return await this.#begin(run, {
        kind: 'run',
        module: toUrl(this.#module.module).href,
        payload,
        facts: factsOf(context),
        maxBodyBytes,
      })
    } finally {
      cancel()
      signal.removeEventListener('abort', abort)
      this.#turn = undefined
    }
  }

  #begin({ context, job }: IsolatedRun, order: Omit<Extract<ToChild, { kind: 'run' }>, 'turn'>): Promise<unknown> {
    this.turns += 1
    this.#context = context
    this.#lastLines.length = 0
    return new Promise((resolve, reject) => {
      const inCourse = AsyncResource.bind((call: () => Promise<unknown>) => call())
      this.#turn = { number: this.turns, context, job, inCourse, resolve, reject }
      try {
        this.#send({ ...order, turn: this.turns })
      } catch (error) {
        const cause = new InvalidPayload('payload', 'what can be sent to another process', order.payload)
        reject(new Fatal(`${cause.message} ${(error as Error).message}`, { cause }))
      }
    })
  }

  #send(message: ToChild): void {
    if (this.#process.connected) this.#process.send(message, () => {})
  }

  #abort(reason: unknown): Cancel {
    this.#send({ kind: 'abort', turn: this.turns, reason: toSent(reason) })
    // It has as long as the process that shuts down, which ends it in the end.
    if (reason instanceof ShuttingDown) return () => {}
    return this.#clock.at(this.#clock.now() + GRACE, () => this.kill())
  }

  #hear(message: FromChild): void {
    if (this.#turn === undefined || message.turn !== this.#turn.number) return
    try {
      this.#follow(message, this.#turn)
    } catch (error) {
      // A logger that throws, say: it would have thrown in the handler, which now goes on without us.
      this.#isFit = false
      this.#turn.reject(error)
    }
  }

  #follow(message: FromChild, turn: Turn): void {
    const { context, resolve, reject } = turn
    switch (message.kind) {
      case 'done':
        return resolve(unstored(message.result))
      case 'threw':
        return reject(fromSent(message.error))
      case 'unusable':
        // It remembers that, whatever becomes of the file.
        this.end()
        return reject(new ModuleUnusable(this.#module.module, fromSent(message.error)))
      case 'log':
        return writeLine(context.log, message)
      case 'noRetry':
        return context.noRetry()
      case 'snooze':
        return context.snooze(message.until)
      case 'question':
        return void this.#answer(
          message.question,
          message.turn,
          turn.inCourse(() => ask(turn, message.request)),
        )
    }
  }

  async #answer(question: number, turn: number, asked: Promise<unknown>): Promise<void> {
    try {
      this.#send({ kind: 'answer', turn, question, value: await asked })
    } catch (error) {
      this.#send({ kind: 'refusal', turn, question, error: toSent(error) })
    }
  }

  #dead(exitCode: number | null, signal: string | null, cause?: Error): void {
    this.#isFit = false
    if (this.#turn === undefined) return
    const { context, reject } = this.#turn
    const output = this.#lastLines.join('\n')
    reject(
      context.signal.aborted
        ? context.signal.reason
        : new ChildDied(context.id, { exitCode, signal, output, ...(cause && { cause }) }),
    )
  }

  /** Lets it go, as soon as it has nothing to do; what it does now ends with it. */
  end(): void {
    this.#isFit = false
    if (this.#process.connected) this.#process.disconnect()
    const cancel = this.#clock.at(this.#clock.now() + GRACE, () => this.kill())
    void this.exited.then(cancel)
  }

  /** At once, with all that it has started. */
  kill(): void {
    this.#isFit = false
    const { pid, exitCode, signalCode } = this.#process
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    try {
      if (HAS_GROUPS) process.kill(-pid, 'SIGKILL')
      else this.#process.kill('SIGKILL')
    } catch {
      // It is gone already.
    }
  }
}

/**
 * Leads a process group of its own: Ctrl-C is for the parent alone, and what the handler has started ends with it. The last
 * pipe is the lifeline that the watchdog holds on to.
 */
function start({ memoryMiB, execArgv }: IsolatedModule): ChildProcess {
  const heap = memoryMiB === undefined ? [] : [`--max-old-space-size=${memoryMiB - BESIDE_HEAP}`]
  return fork(RUNNER, memoryMiB === undefined ? [] : [`${memoryMiB}`], {
    execArgv: [...heap, ...execArgv],
    env: childEnvironment(),
    detached: HAS_GROUPS,
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc', 'pipe'],
  })
}

function factsOf(context: JobContext): ContextFacts {
  const { id, type, name, queue, channel, run, attempt, workerId, user, trace, manual } = context
  const { trigger, triggers, correlationId, causationId, deadline, retries } = context
  return {
    ...{ id, type, name, queue, channel, run, attempt, workerId, user, trace, manual },
    ...{ trigger, triggers, correlationId, causationId, deadline, retries },
  }
}

function ask({ context, job }: Turn, request: Request): Promise<unknown> {
  switch (request.ask) {
    case 'enqueue':
      return enqueueFor(context.ledger, job, request)
    case 'heartbeat':
      return context.heartbeat(request.progress, unstored(request.partial))
    case 'dependencies':
      return context.dependencies()
    case 'dependencyErrors':
      return context.dependencyErrors()
  }
}

const unstored = (content: Stored): unknown => (typeof content === 'string' ? JSON.parse(content) : content)
