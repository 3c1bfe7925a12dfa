import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { Watcher } from '../../adapters/testing/watched.js'

/** For a store in another process: no time passes while anything that was asked of it is not answered. */
export class PatientClock extends VirtualClock implements Watcher {
  #begun = 0
  #open = 0

  begins(): void {
    this.#begun += 1
    this.#open += 1
  }

  ends(): void {
    this.#open -= 1
  }

  /** Until nothing is under way, and nothing was begun for as long as a store in this process is waited for. */
  override async settle(): Promise<void> {
    let begun: number
    do {
      begun = this.#begun
      await super.settle()
    } while (this.#open > 0 || this.#begun > begun)
  }
}
