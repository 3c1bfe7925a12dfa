import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { Watcher } from '../../adapters/testing/watched.js'

/** What goes on in a store in another process. */
export class Watch implements Watcher {
  begun = 0
  open = 0

  begins(): void {
    this.begun += 1
    this.open += 1
  }

  ends(): void {
    this.open -= 1
  }
}

/** For a store in another process: no time passes while anything that was asked of it is not answered. */
export class PatientClock extends VirtualClock {
  readonly #watch: Watch

  /** `now`: when it begins. */
  constructor(watch: Watch, now?: number) {
    super(now)
    this.#watch = watch
  }

  /** Until nothing is under way, and nothing was begun for as long as a store in this process is waited for. */
  override async settle(): Promise<void> {
    let begun: number
    do {
      begun = this.#watch.begun
      await super.settle()
    } while (this.#watch.open > 0 || this.#watch.begun > begun)
  }
}
