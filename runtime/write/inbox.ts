import type { Submitted } from './group.js'

/** Commands taken into one flush at most: with a synchronous store a flush holds up the host's event loop. */
const FLUSH_LIMIT = 1_000

const isAlone = ({ command }: Submitted): boolean => command.alone === true

/** Commands that wait for a flush, in the order they came. */
export class Inbox {
  #waiting: Submitted[] = []
  /** Commands in it that go alone. */
  #alone = 0

  get length(): number {
    return this.#waiting.length
  }

  push(submitted: Submitted): void {
    if (isAlone(submitted)) this.#alone += 1
    this.#waiting.push(submitted)
  }

  /** All of them, whatever is in flight. */
  clear(): readonly Submitted[] {
    this.#alone = 0
    return this.#waiting.splice(0)
  }

  /** What may go now. A command on a stream in flight waits, and so does every later one that shares a stream with it. */
  take(inFlight: ReadonlySet<string>): readonly Submitted[] {
    if (inFlight.size === 0 && this.#alone === 0) return this.#waiting.splice(0, FLUSH_LIMIT)
    const picking = new Picking(inFlight)
    const taken: Submitted[] = []
    const left: Submitted[] = []
    let next = 0
    for (; next < this.#waiting.length && taken.length < FLUSH_LIMIT; next += 1) {
      const submitted = this.#waiting[next] as Submitted
      if (picking.picks(submitted)) taken.push(submitted)
      else left.push(submitted)
    }
    this.#waiting = left.concat(this.#waiting.slice(next))
    if (this.#alone > 0) this.#alone = this.#waiting.filter(isAlone).length
    return taken
  }
}

/** Goes through an inbox once. */
class Picking {
  readonly #inFlight: ReadonlySet<string>
  /** Streams on which nobody goes any more, and those on which somebody goes who does not go alone. */
  readonly #closed = new Set<string>()
  readonly #shared = new Set<string>()

  constructor(inFlight: ReadonlySet<string>) {
    this.#inFlight = inFlight
  }

  picks(submitted: Submitted): boolean {
    const { streams } = submitted
    const alone = isAlone(submitted)
    const goes =
      streams.every((stream) => !this.#inFlight.has(stream) && !this.#closed.has(stream)) &&
      !(alone && streams.some((stream) => this.#shared.has(stream)))
    for (const stream of streams) (goes && !alone ? this.#shared : this.#closed).add(stream)
    return goes
  }
}
