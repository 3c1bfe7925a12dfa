import { Observable } from 'rxjs'
import type { Clock } from '../../ports/clock.js'
import type { Logger } from '../../ports/logger.js'

/** One line that a handler wrote with `ctx.log`. */
export interface LogLine {
  readonly jobId: string
  readonly run: number
  /** ms since the epoch. */
  readonly at: number
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
  readonly message: string
  readonly facts: object
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

/** Hands the lines of a run to those who watch its job. Costs nothing while nobody does. */
export class LogRelay {
  readonly #clock: Clock
  readonly #watchers = new Map<string, Set<(line: LogLine) => void>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Lines of this job, run after run, from now on. Never completes by itself. */
  lines(jobId: string): Observable<LogLine> {
    return new Observable((observer) => {
      const watch = (line: LogLine): void => observer.next(line)
      const watchers = this.#watchers.get(jobId) ?? new Set()
      this.#watchers.set(jobId, watchers.add(watch))
      return () => {
        watchers.delete(watch)
        if (watchers.size === 0) this.#watchers.delete(jobId)
      }
    })
  }

  /** A logger like `inner` whose lines are also relayed. */
  wrap(inner: Logger, job: { readonly id: string; readonly run: number }, bindings: object = {}): Logger {
    const wrapped: Partial<Record<(typeof LEVELS)[number], Logger['info']>> & Pick<Logger, 'child'> = {
      child: (more) => this.wrap(inner.child(more), job, { ...bindings, ...more }),
    }
    for (const level of LEVELS) {
      wrapped[level] = (facts, message) => {
        inner[level](facts, message)
        this.#relay({
          jobId: job.id,
          run: job.run,
          at: this.#clock.now(),
          level,
          message,
          facts: { ...bindings, ...facts },
        })
      }
    }
    return wrapped as Logger
  }

  #relay(line: LogLine): void {
    for (const watch of this.#watchers.get(line.jobId) ?? []) watch(line)
  }
}
