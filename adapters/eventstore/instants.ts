/**
 * Which position the log had reached at an instant. The server cannot be asked for our own time, so the log is walked through;
 * what was seen on the way is kept as a mark every so many events, and the next walk begins at one of them.
 */
import type { Position } from '../../domain/event.js'
import type { Reader } from './reader.js'

const MARK_EVERY = 1000

interface Mark {
  readonly position: Position
  /** The latest time of any event up to here. */
  readonly latest: number
}

export class Instants {
  readonly #reader: Reader
  readonly #marks: Mark[] = []

  constructor(reader: Reader) {
    this.#reader = reader
  }

  /** End of the longest beginning of the log in which no event is later than `instant`. */
  async positionAt(instant: number): Promise<Position> {
    let { position, latest } = this.#marks.findLast((mark) => mark.latest <= instant) ?? { position: '', latest: 0 }
    let since = 0
    for await (const page of this.#reader.all({ after: position })) {
      for (const event of page) {
        if (event.at > instant) return position
        position = event.position
        latest = Math.max(latest, event.at)
        since += 1
        if (since % MARK_EVERY === 0) this.#mark({ position, latest })
      }
    }
    return position
  }

  #mark(mark: Mark): void {
    if (mark.position > (this.#marks.at(-1)?.position ?? '')) this.#marks.push(mark)
  }
}
