import type { Actor, AnyStateMachine } from 'xstate'
import { assign, createActor, fromPromise, setup } from 'xstate'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { Logger } from '../ports/logger.js'

/** First and longest wait before a loop that failed is started again (ms): doubles in between. */
const RESTART_MIN = 100
const RESTART_MAX = 30_000

/** A duty of the engine: runs until its signal aborts. Returning early is as much a failure as throwing. */
export interface Duty {
  readonly name: string
  run(signal: AbortSignal): Promise<void>
}

/**
 * Keeps duties running. Each is an actor: running -> (failed) waiting -> running; a failure is logged with its error, and
 * a duty that has run for longer than the longest wait starts its backoff afresh.
 */
export class Supervisor {
  readonly #clock: Clock
  readonly #log: Logger
  readonly #actors = new Map<string, Actor<AnyStateMachine>>()

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock
    this.#log = log
  }

  start(duty: Duty): void {
    const actor = createActor(this.#machine(duty), { id: duty.name })
    this.#actors.set(duty.name, actor)
    actor.start()
  }

  /** Aborts one duty, which is then forgotten; it need not be there. */
  end(name: string): void {
    this.#actors.get(name)?.stop()
    this.#actors.delete(name)
  }

  /** `running`, `waiting` or `stopped` by duty. */
  states(): ReadonlyMap<string, string> {
    return new Map([...this.#actors].map(([name, actor]) => [name, String(actor.getSnapshot().value)]))
  }

  /** Aborts every duty; what they were doing ends by itself. */
  stop(): void {
    for (const actor of this.#actors.values()) actor.stop()
  }

  #machine(duty: Duty): AnyStateMachine {
    const clock = this.#clock
    return setup({
      types: { context: {} as { failures: number; startedAt: number } },
      actors: {
        run: fromPromise(async ({ signal }) => {
          await duty.run(signal)
          throw new Error(`${duty.name} returned`)
        }),
        wait: fromPromise<void, number>(({ input, signal }) =>
          delay(clock, Math.min(RESTART_MAX, RESTART_MIN * 2 ** input), signal),
        ),
      },
      actions: {
        failed: assign(({ context }) => {
          const lasted = clock.now() - context.startedAt
          return { failures: lasted > RESTART_MAX ? 1 : context.failures + 1 }
        }),
        started: assign(() => ({ startedAt: clock.now() })),
        report: ({ context, event }) =>
          this.#log.error(
            { err: (event as { error?: unknown }).error, duty: duty.name, failures: context.failures },
            `${duty.name} failed and is started again`,
          ),
      },
    }).createMachine({
      id: duty.name,
      initial: 'running',
      context: { failures: 0, startedAt: clock.now() },
      states: {
        running: {
          entry: 'started',
          invoke: { src: 'run', onError: { target: 'waiting', actions: ['failed', 'report'] } },
        },
        waiting: {
          invoke: { src: 'wait', input: ({ context }) => context.failures - 1, onDone: 'running' },
        },
      },
    })
  }
}
