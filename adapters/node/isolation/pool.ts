import { existsSync } from 'node:fs'
import type { Cancel, Clock } from '../../../runtime/ports/clock.js'
import type { IsolatedModule, IsolatedRun, Isolation } from '../../../runtime/ports/isolation.js'
import { Child, toUrl } from './child.js'

interface Resting {
  readonly child: Child
  readonly cancel: Cancel
}

/**
 * Child processes, one per run under way. One that has nothing to do is kept for a while for the next run of its module; none
 * is started before it is needed, so a module that kills its processes gets no more of them than it has runs.
 */
export class ChildPool implements Isolation {
  readonly #clock: Clock
  readonly #children = new Set<Child>()
  /** By module and all that is said of its processes; the last one to rest is the first to work again. */
  readonly #resting = new Map<string, Resting[]>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  has({ module }: IsolatedModule): boolean {
    return existsSync(toUrl(module))
  }

  async run(run: IsolatedRun): Promise<unknown> {
    run.context.signal.throwIfAborted()
    const child = this.#take(run.module)
    try {
      return await child.run(run)
    } finally {
      this.#giveBack(child, run.module)
    }
  }

  #take(module: IsolatedModule): Child {
    const resting = this.#resting.get(keyOf(module))
    for (let next = resting?.pop(); next !== undefined; next = resting?.pop()) {
      next.cancel()
      if (next.child.isFit) return next.child
    }
    const child = new Child(module, this.#clock)
    this.#children.add(child)
    void child.exited.then(() => this.#children.delete(child))
    return child
  }

  #giveBack(child: Child, module: IsolatedModule): void {
    if (!child.isFit) return child.end()
    const key = keyOf(module)
    const resting = this.#resting.get(key) ?? []
    this.#resting.set(key, resting)
    const cancel = this.#clock.at(this.#clock.now() + module.idleMs, () => {
      resting.splice(resting.indexOf(place), 1)
      child.end()
    })
    const place = { child, cancel }
    resting.push(place)
  }

  async stop(): Promise<void> {
    for (const { cancel } of [...this.#resting.values()].flat()) cancel()
    this.#resting.clear()
    const children = [...this.#children]
    for (const child of children) {
      if (child.isFit) child.end()
      else child.kill()
    }
    await Promise.all(children.map(({ exited }) => exited))
  }
}

const keyOf = ({ module, memoryMiB, runs, idleMs, execArgv }: IsolatedModule): string =>
  JSON.stringify([module, memoryMiB, runs, idleMs, execArgv])
