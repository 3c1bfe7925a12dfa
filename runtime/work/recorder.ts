import { LeaseLost } from '../../domain/rejection.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import { StoreUnavailable } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { Scope } from '../ports/scope.js'
import type { Command } from '../write/command.js'
import type { Ending } from '../write/commands.js'
import * as commands from '../write/commands.js'
import type { Journal } from '../write/journal.js'
import type { Attempt, AttemptOutcome } from './run/attempt.js'
import type { Recorded } from './run/commits.js'
import { endOf } from './run/commits.js'
import type { JobContext } from './run/context.js'

/** Pause before an outcome is written again that the store could not record (ms). */
const RECORD_PAUSE = 500

export interface RecorderServices {
  readonly journal: Journal
  readonly clock: Clock
  readonly log: Logger
  readonly scope: Scope<JobContext>
  /** Attempts at most of a type, where its jobs run. */
  maxAttempts(type: string): number | undefined
}

/** Writes down how runs end. */
export class Recorder {
  readonly #services: RecorderServices
  readonly #recording = new Set<Promise<Recorded>>()
  readonly #closing = new AbortController()
  /** The wait that all outcomes share which could not be recorded. */
  #pause: Promise<void> | undefined

  constructor(services: RecorderServices) {
    this.#services = services
  }

  /** Begins to. Undefined: the log has said all there is to say. */
  record(attempt: Attempt, outcome: AttemptOutcome): Promise<Recorded> | undefined {
    const command = this.#commandFor(attempt, outcome)
    if (command === undefined) return undefined
    const recording = this.#record(attempt, outcome, command)
    this.#recording.add(recording)
    void recording.finally(() => this.#recording.delete(recording))
    return recording
  }

  /** Gives what is under way the one try that it is in. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#recording)
  }

  #commandFor(attempt: Attempt, outcome: AttemptOutcome): Command<unknown> | undefined {
    const { id, lease } = attempt
    switch (outcome.kind) {
      case 'succeeded':
        return commands.finish(id, lease.token, this.#inCourse(attempt, outcome))
      case 'snoozed':
        return commands.release(id, lease.token, { by: 'snooze', runAt: outcome.runAt })
      case 'failed':
        return commands.fail(id, lease.token, outcome.failure, this.#services.maxAttempts(attempt.type))
      case 'interrupted':
        return commands.release(id, lease.token)
      case 'superseded':
        return undefined
    }
  }

  /** The effects are called by whoever commits, but belong to the run. */
  #inCourse(attempt: Attempt, ending: Ending): Ending {
    const { effects } = ending
    if (effects === undefined) return ending
    return { ...ending, effects: (transaction) => this.#services.scope.run(attempt, () => effects(transaction)) }
  }

  /** A store that cannot write now may be able to later: the outcome is kept for as long as the lease may still be ours. */
  async #record(attempt: Attempt, first: AttemptOutcome, recorded: Command<unknown>): Promise<Recorded> {
    const { journal, clock, log } = this.#services
    let outcome = first
    let command: Command<unknown> | undefined = recorded
    let hasEffects = outcome.kind === 'succeeded' && outcome.effects !== undefined
    while (command !== undefined) {
      try {
        const answer = await journal.submit(command)
        return attempt.commits ? endOf(outcome, answer) : undefined
      } catch (error) {
        if (hasEffects && isOfEffects(error)) {
          hasEffects = false
          outcome = await attempt.classify(error)
          command = this.#commandFor(attempt, outcome)
          continue
        }
        const { id, type, run } = attempt
        log.warn({ err: error, jobId: id, jobType: type, run }, 'outcome not recorded')
        if (error instanceof LeaseLost) return error
        if (!(error instanceof StoreUnavailable) || this.#closing.signal.aborted) return undefined
        this.#pause ??= delay(clock, RECORD_PAUSE, this.#closing.signal).catch(() => {})
        await this.#pause
        this.#pause = undefined
      }
    }
    return undefined
  }
}

/** The handler's own writes could not be made: nothing of the success is recorded, and the attempt has failed. */
const isOfEffects = (error: unknown): boolean => !(error instanceof LeaseLost || error instanceof StoreUnavailable)
