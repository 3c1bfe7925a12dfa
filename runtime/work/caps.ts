import type { Lane } from '../../projections/pending-index.js'

/** Runs at once by name, for the names that have a limit. It may change while it is asked. */
export interface Limits {
  /** 0: no name has one. */
  readonly size: number
  get(name: string): number | undefined
}

/** What was configured, by name. */
export function limitsOf(
  settings: ReadonlyMap<string, { readonly concurrency?: number | undefined }>,
): Map<string, number> {
  const limits = new Map<string, number>()
  for (const [name, { concurrency }] of settings) if (concurrency !== undefined) limits.set(name, concurrency)
  return limits
}

/** How many runs there may be at once of what has the same name, for the names that say so. */
export class Caps {
  readonly #nameOf: (lane: Lane) => string
  readonly #limits: Limits
  readonly #used = new Map<string, number>()

  /** `nameOf`: by which of its names a lane is counted. */
  constructor(nameOf: (lane: Lane) => string, limits: Limits) {
    this.#nameOf = nameOf
    this.#limits = limits
  }

  /** Nothing is capped just now: nobody need ask. */
  get none(): boolean {
    return this.#limits.size === 0
  }

  hasRoom(lane: Lane): boolean {
    const name = this.#nameOf(lane)
    const limit = this.#limits.get(name)
    return limit === undefined || (this.#used.get(name) ?? 0) < limit
  }

  take(lane: Lane): void {
    this.#move(lane, 1)
  }

  give(lane: Lane): void {
    this.#move(lane, -1)
  }

  /** Also of names without a limit: they may come to have one while they run. */
  #move(lane: Lane, by: number): void {
    const name = this.#nameOf(lane)
    this.#used.set(name, (this.#used.get(name) ?? 0) + by)
  }
}

/** The slots of a pool, and what else limits its runs: each lease takes a place, each end of a run gives it back. */
export class Room {
  readonly slots: number
  readonly #caps: readonly Caps[]
  #used = 0

  constructor(slots: number, caps: readonly Caps[]) {
    this.slots = slots
    this.#caps = caps
  }

  get free(): number {
    return this.slots - this.#used
  }

  /** Of these lanes those that may have one more run, if there is a slot for it. */
  among(lanes: readonly Lane[]): readonly Lane[] {
    return this.#caps.every(({ none }) => none) ? lanes : lanes.filter((lane) => this.hasRoom(lane))
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
