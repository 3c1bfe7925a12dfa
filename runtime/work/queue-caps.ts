/** How many runs of a queue there may be at once in this process, for the queues that say so. */
export class QueueCaps {
  readonly #caps: ReadonlyMap<string, number>
  readonly #used = new Map<string, number>()

  constructor(caps: ReadonlyMap<string, number>) {
    this.#caps = caps
  }

  /** Nothing is capped: nobody need ask. */
  get none(): boolean {
    return this.#caps.size === 0
  }

  hasRoom(queue: string): boolean {
    const cap = this.#caps.get(queue)
    return cap === undefined || (this.#used.get(queue) ?? 0) < cap
  }

  take(queue: string): void {
    if (this.#caps.has(queue)) this.#used.set(queue, (this.#used.get(queue) ?? 0) + 1)
  }

  give(queue: string): void {
    if (this.#caps.has(queue)) this.#used.set(queue, (this.#used.get(queue) ?? 0) - 1)
  }
}
