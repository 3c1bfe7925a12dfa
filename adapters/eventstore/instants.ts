/**
 * Which position the log had reached at an instant. The server cannot be asked for our own time, so the log is walked through.
 * What was seen on the way is kept as a mark every so many events, and the next walk begins at one of them; what lies behind the
 * mark of the last walk is kept as it is, for whoever looks for the instant of a position asks for forty of them.
 */
import type { Position } from '../../domain/event.js'
import type { Reader } from './reader.js'

const MARK_EVERY = 1000

interface Mark {
  readonly position: Position
  /** The latest time of any event up to here. */
  readonly latest: number
}

interface Seen {
  readonly position: Position
  readonly at: number
}

const BEGINNING: Mark = { position: '', latest: 0 }

export class Instants {
  readonly #reader: Reader
  readonly #marks: Mark[] = [BEGINNING]
  /** All there is behind a mark, as far as anybody went. */
  #walked: { readonly mark: Mark; readonly events: Seen[] } = { mark: BEGINNING, events: [] }

  constructor(reader: Reader) {
    this.#reader = reader
  }

  /** End of the longest beginning of the log in which no event is later than `instant`. */
  async positionAt(instant: number): Promise<Position> {
    const mark = this.#marks.findLast(({ latest }) => latest <= instant) ?? BEGINNING
    if (this.#walked.mark !== mark) this.#walked = { mark, events: [] }
    let [{ position, latest }, { events }] = [mark, this.#walked]
    for (const event of events) {
      if (event.at > instant) return position
      position = event.position
      latest = Math.max(latest, event.at)
    }
    for await (const page of this.#reader.all({ after: position })) {
      remember(events, page)
      for (const event of page) {
        if (event.at > instant) return position
        position = event.position
        latest = Math.max(latest, event.at)
      }
      if (events.length >= MARK_EVERY) events = this.#setMark({ position, latest })
    }
    return position
  }

  /** Whoever is not in front goes on for itself. */
  #setMark(mark: Mark): Seen[] {
    const events: Seen[] = []
    if (mark.position <= (this.#marks.at(-1)?.position ?? '')) return events
    this.#marks.push(mark)
    this.#walked = { mark, events }
    return events
  }
}

/** Another walk may have been here meanwhile. */
function remember(events: Seen[], page: readonly Seen[]): void {
  for (const { position, at } of page) {
    if (position > (events.at(-1)?.position ?? '')) events.push({ position, at })
  }
}
