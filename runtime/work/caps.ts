import type { Lane } from '../../projections/pending-index.js'

/** How many runs there may be at once of what has the same name, for the names that say so. */
export class Caps {
  readonly #nameOf: (lane: Lane) => string
  readonly #caps: ReadonlyMap<string, number>
  readonly #used = new Map<string, number>()

  /** `nameOf`: by which of its names a lane is counted. */
  constructor(nameOf: (lane: Lane) => string, caps: ReadonlyMap<string, number>) {
    this.#nameOf = nameOf
    this.#caps = caps
  }

  /** Nothing is capped: nobody need ask. */
  get none(): boolean {
    return this.#caps.size === 0
  }

  hasRoom(lane: Lane): boolean {
    const name = this.#nameOf(lane)
    const cap = this.#caps.get(name)
    return cap === undefined || (this.#used.get(name) ?? 0) < cap
  }

  take(lane: Lane): void {
    this.#move(lane, 1)
  }

  give(lane: Lane): void {
    this.#move(lane, -1)
  }

  #move(lane: Lane, by: number): void {
    const name = this.#nameOf(lane)
    if (this.#caps.has(name)) this.#used.set(name, (this.#used.get(name) ?? 0) + by)
  }
}

/** The slots of a pool, and what else limits its runs: each lease takes a place, each end of a run gives it back. */
export class Room {
  readonly slots: number
  readonly #caps: readonly Caps[]
  #used = 0

  constructor(slots: number, caps: readonly Caps[]) {
    this.slots = slots
    this.#caps = caps.filter((each) => !each.none)
  }

  get free(): number {
    return this.slots - this.#used
  }

  /** Of these lanes those that may have one more run, if there is a slot for it. */
  among(lanes: readonly Lane[]): readonly Lane[] {
    return this.#caps.length === 0 ? lanes : lanes.filter((lane) => this.hasRoom(lane))
  }

  hasRoom(lane: Lane): boolean {
    return this.#caps.every((caps) => caps.hasRoom(lane))
  }

  take(lane: Lane): void {
    this.#used += 1
    for (const caps of this.#caps) caps.take(lane)
  }

  give(lane: Lane): void {
    this.#used -= 1
    for (const caps of this.#caps) caps.give(lane)
  }
}
