import { clearTimeout, setTimeout } from 'node:timers'
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Gate } from '../../runtime/ports/gate.js'
import { EndlessRuns } from './errors.js'
import { OwnClock } from './own-clock.js'
import { Runs } from './runs.js'
import { nextTurn } from './virtual-clock.js'

/**
 * Turns of the event loop in which nothing happens: then nothing will, unless time passes or the world answers. All that the
 * engine does and does not finish in the same turn goes through the clock, the store, the views or the feed, and is counted.
 */
const QUIET_TURNS = 3
/** How many times the engine may be seen at rest before the event loop turns. */
const LOOKS_PER_TURN = 100
/** Looks at the world outside within the time that a silent run is given: a process that stands still misses one, not all. */
const LOOKS = 10

/** The real ones, as `nextTurn`. Called from a promise, `nextTick` comes after all promises. */
const afterPromises = process.nextTick
const startTimer = setTimeout
const stopTimer = clearTimeout

export interface ConductorOptions {
  readonly now: number
  /** How long a run may go on in real time without a sign of life before it is taken to wait for virtual time (ms). */
  readonly patienceMs: number
  /** The job whose handler this is called from. */
  readonly job: () => string | undefined
  /** Runs without time passing, beyond one for each job that was there, after which there is no end to be seen. */
  readonly maxRuns: number
  /** Jobs enqueued so far. */
  readonly jobs: () => number
  /** Makes handlers ready to run, if there are any. */
  readonly begin: () => Promise<void>
}

/**
 * Says when handlers run and when time passes: only while it is asked to. One request at a time, in the order they came.
 */
export class Conductor implements Gate {
  readonly clock: OwnClock
  readonly runs: Runs = new Runs()
  readonly #options: ConductorOptions
  readonly #openers: (() => void)[] = []
  #isOpen = false
  #begun = false
  #before: Promise<unknown> = Promise.resolve()
  /** Counts whatever happens in the engine. */
  #happened = 0
  /** Calls of the store and the views under way. */
  #pending = 0
  /** What `#happened` was when the engine last came to rest. */
  #calm = -1
  #looks = 0
  #onHappening: (() => void) | undefined

  constructor(options: ConductorOptions) {
    this.#options = options
    this.clock = new OwnClock({
      now: options.now,
      job: options.job,
      sleep: (job) => {
        this.runs.sleep(job)
        this.happens()
      },
      wake: (job) => this.runs.wake(job),
      onTurn: () => this.happens(),
      advance: (duration) => this.advance(duration),
    })
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  onOpen(call: () => void): void {
    this.#openers.push(call)
  }

  /** Handlers are ready to run. */
  hasBegun(): void {
    this.#begun = true
  }

  follow(event: RecordedEvent): void {
    this.runs.follow(event)
    this.happens()
  }

  /** Runs what is due, and what that brings about, while time stands still. Answers with the jobs that still run. */
  drain(): Promise<string[]> {
    return this.#inTurn(async () => {
      await this.#settle()
      return this.runs.ids
    })
  }

  async advance(duration: Duration): Promise<void> {
    const ms = toMs(duration, 'advance')
    await this.#inTurn(() => this.#pass(this.clock.now() + ms))
  }

  /** Lets time pass until `look`, asked when something has happened, says so; at most for `ms`. False: it never did. */
  passUntil(ms: number, look: () => Promise<boolean>): Promise<boolean> {
    return this.#inTurn(() => this.#pass(this.clock.now() + ms, look))
  }

  /** Lets `passUntil` look when it is that time. */
  lookAt(instant: number): void {
    this.clock.engine.at(instant, () => this.happens())
  }

  /** Lets time pass, without new runs, until something has happened. */
  async passWhile<Answer>(happening: Promise<Answer>): Promise<Answer> {
    let over = false
    const watched = happening.finally(() => {
      over = true
    })
    watched.catch(() => {})
    for (;;) {
      await this.#settle()
      if (over) return watched
      this.clock.step(this.clock.now() + 1_000)
    }
  }

  /** Resolves when the engine has nothing left to do but wait. Throws EndlessRuns. */
  quiet(mostRuns: number = Number.POSITIVE_INFINITY): Promise<void> {
    const { runs } = this
    return new Promise((resolve, reject) => {
      let left = QUIET_TURNS
      let seen = this.#happened
      const look = (): void => {
        left = this.#happened === seen && this.#isIdle ? left - 1 : QUIET_TURNS
        seen = this.#happened
        if (left === 0) {
          this.#calm = seen
          resolve()
        } else if (runs.begun > mostRuns) reject(new EndlessRuns(this.#options.maxRuns, runs.last))
        else nextTurn(look)
      }
      // Most timers set off nothing at all, and a day has 100,000 of them. Called when all promises have been kept that
      // can be. Now and then the world outside has its turn all the same.
      this.#looks += 1
      if (runs.areNone && this.#looks % LOOKS_PER_TURN > 0) {
        afterPromises(() => (this.#happened === this.#calm && this.#isIdle ? resolve() : nextTurn(look)))
      } else nextTurn(look)
    })
  }

  get #isIdle(): boolean {
    return this.#pending === 0 && this.clock.turns === 0
  }

  /** Handlers run while `play` goes on, and not after. */
  #inTurn<Answer>(play: () => Promise<Answer>): Promise<Answer> {
    const played = this.#before.then(async () => {
      if (!this.#begun) await this.#options.begin()
      this.#isOpen = true
      for (const call of this.#openers) call()
      try {
        return await play()
      } finally {
        this.#isOpen = false
      }
    })
    this.#before = played.catch(() => {})
    return played
  }

  async #pass(end: number, look?: () => Promise<boolean>): Promise<boolean> {
    let looked = -1
    do {
      await this.#settle()
      if (look === undefined || this.#happened === looked) continue
      if (await look()) return true
      // Looking is nothing that happens.
      if (this.#isIdle) this.#calm = this.#happened
      looked = this.#happened
    } while (this.clock.step(end))
    return false
  }

  /** Lets go on what can go on without time passing: the engine, and handlers that wait for the world outside. */
  async #settle(): Promise<void> {
    const { jobs, maxRuns } = this.#options
    const mostRuns = this.runs.begun + jobs() + maxRuns
    await this.quiet(mostRuns)
    while (this.runs.isAnyBusy) {
      if (await this.#hear()) await this.quiet(mostRuns)
      else this.runs.giveUp()
    }
  }

  /** Waits for the world outside to wake a handler. False: it has been silent for too long. */
  async #hear(): Promise<boolean> {
    const seen = this.#happened
    const ms = this.#options.patienceMs / LOOKS
    for (let look = 0; look < LOOKS && this.#happened === seen; look += 1) await this.#happening(ms)
    return this.#happened !== seen
  }

  /** Resolves as soon as something happens, or after `ms` of real time and whatever has piled up by then. */
  #happening(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        stopTimer(timer)
        this.#onHappening = undefined
        resolve()
      }
      const timer = startTimer(() => nextTurn(end), ms)
      this.#onHappening = end
    })
  }

  /** Something that the engine waits for has begun: it has not come to rest until that has ended. */
  begins(): void {
    this.#pending += 1
    this.happens()
  }

  ends(): void {
    this.#pending -= 1
    this.happens()
  }

  /** Something goes on in the engine. */
  happens(): void {
    this.#happened += 1
    this.#onHappening?.()
  }
}
