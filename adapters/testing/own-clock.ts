import type { Duration } from '../../domain/duration.js'
import type { Cancel, Clock } from '../../runtime/ports/clock.js'
import { VirtualClock } from './virtual-clock.js'

export interface OwnClockOptions {
  readonly now: number
  /** The job whose handler this is called from. */
  readonly job: () => string | undefined
  readonly sleep: (job: string) => void
  readonly wake: (job: string) => void
  /** The engine has asked for a turn. */
  readonly onTurn: () => void
  readonly advance: (duration: Duration) => Promise<void>
}

/** The clock that a test ledger hands out: a handler that waits for it is known to wait for time. */
export class OwnClock extends VirtualClock {
  readonly #options: OwnClockOptions
  #turns = 0

  constructor(options: OwnClockOptions) {
    super(options.now)
    this.#options = options
  }

  /** The same time for the engine, whose timers are nobody's sleep and whose turns are counted. */
  readonly engine: Clock = {
    now: () => this.now(),
    at: (instant, call) => super.at(instant, call),
    soon: (call) => {
      this.#turns += 1
      this.#options.onTurn()
      this.soon(() => {
        this.#turns -= 1
        call()
      })
    },
  }

  /** Turns that the engine has asked for and not had. */
  get turns(): number {
    return this.#turns
  }

  override at(instant: number, call: () => void): Cancel {
    const { job, sleep, wake } = this.#options
    const sleeper = job()
    if (sleeper === undefined) return super.at(instant, call)
    let over = false
    const end = (): void => {
      if (!over) wake(sleeper)
      over = true
    }
    sleep(sleeper)
    const cancel = super.at(instant, () => {
      end()
      call()
    })
    return () => {
      end()
      cancel()
    }
  }

  /** As `advance` of its ledger: jobs run meanwhile. */
  override advance(duration: Duration): Promise<void> {
    return this.#options.advance(duration)
  }
}
