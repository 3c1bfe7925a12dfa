import type { Clock } from '../../ports/clock.js'
import { Alarm } from '../alarm.js'
import type { Attempt } from './attempt.js'

/** A lease is renewed when this part of it is over: short runs never beat. */
const BEAT_PART = 3
/** Beats that are due within this part of a lease go into one commit: a thousand runs do not make a commit each. */
const SLACK_PART = 30

/** Watches the runs in progress: heartbeats for those that take long, the end for those that take too long. */
export class LeaseKeeper {
  readonly #running: ReadonlyMap<string, Attempt>
  readonly #leaseMs: number
  readonly #beat: (attempt: Attempt) => void
  readonly #alarm: Alarm

  constructor(options: {
    readonly clock: Clock
    readonly running: ReadonlyMap<string, Attempt>
    readonly leaseMs: number
    readonly beat: (attempt: Attempt) => void
  }) {
    this.#running = options.running
    this.#leaseMs = options.leaseMs
    this.#beat = options.beat
    this.#alarm = new Alarm(options.clock, (now) => this.#sweep(now))
  }

  /** When a run that begins, or has just beaten, at `now` wants its next beat. */
  beatAfter(now: number): number {
    return now + this.#leaseMs / BEAT_PART
  }

  watch(attempt: Attempt): void {
    this.#alarm.by(Math.min(attempt.beatAt, attempt.timeoutAt))
  }

  /** At most `concurrency` runs to look at, a few times a minute. */
  #sweep(now: number): void {
    for (const attempt of this.#running.values()) {
      if (attempt.timeoutAt <= now) attempt.timeOut()
      else if (attempt.beatAt <= now + this.#leaseMs / SLACK_PART) {
        attempt.beatAt = this.beatAfter(now)
        this.#beat(attempt)
      }
      if (!attempt.concluded) this.watch(attempt)
    }
  }

  stop(): void {
    this.#alarm.stop()
  }
}
