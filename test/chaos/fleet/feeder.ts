/** Enqueues the jobs of a seed, in waves; sends round again what is meant to be; knows when everything has ended. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ledger, RecordedEvent } from '../../../index.js'
import { DependencyUnknown, StoreUnavailable } from '../../../index.js'
import { between, drawsFor } from './draws.js'
import type { Spec } from './jobs.js'
import { specOf } from './jobs.js'

/** Jobs that have not ended, at most: the next wave waits. */
const BACKLOG = 3_000
const LOOK_AGAIN_MS = 100
/** One wave in ten is a burst that fills every slot. */
const BURSTS = 0.1

export interface FeederOptions {
  readonly ledger: Ledger
  readonly seed: number
  /** How many of them; Infinity: until `isEnough`. */
  readonly jobs: number
  /** On average. */
  readonly perSecond: number
  isEnough(): boolean
}

export class Feeder {
  readonly #options: FeederOptions
  /** Ids whose enqueue was answered, and created a job. */
  readonly promised: Set<string> = new Set()
  enqueued = 0
  duplicates = 0
  /** Calls that were made again, because the store could not write. */
  refused = 0
  /** When a job last moved. */
  movedAt: number = Date.now()
  /** Jobs that have not ended. */
  open = 0
  #retrying = 0
  #fed = false
  #emptied: () => void = () => {}

  constructor(options: FeederOptions) {
    this.#options = options
    options.ledger.events$.subscribe((event) => this.#follow(event))
  }

  /** Resolves when everything is enqueued and has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { seed, jobs, perSecond, isEnough } = this.#options
    const draw = drawsFor(seed, 'waves')
    for (let n = 0; n < jobs && !isEnough(); ) {
      const wave = draw() < BURSTS ? between(draw, 200, 500) : between(draw, 1, 60)
      const size = Math.min(wave, jobs - n)
      const atOnce = draw() < 0.5
      const specs = Array.from({ length: size }, (_, index) => specOf(seed, n + index))
      n += size
      await this.#enqueue(specs, atOnce)
      await sleep(((size * 1_000) / perSecond) * 2 * draw(), undefined, { signal })
      while (this.open > BACKLOG) await sleep(LOOK_AGAIN_MS, undefined, { signal })
    }
    this.#fed = true
    if (!this.#isDone()) await new Promise<void>((resolve) => (this.#emptied = resolve))
  }

  #isDone(): boolean {
    return this.#fed && this.open === 0 && this.#retrying === 0
  }

  /** Those with a key come one by one: two of a batch may have the same. */
  async #enqueue(specs: readonly Spec[], atOnce: boolean): Promise<void> {
    const { ledger } = this.#options
    const plain = specs.filter(({ options }) => options.unique === undefined)
    const single = atOnce ? specs.filter((spec) => !plain.includes(spec)) : specs
    if (atOnce && plain.length > 0) {
      const handles = await this.#insist(() => ledger.enqueueMany(plain))
      for (const { id } of handles) this.promised.add(id)
    }
    await Promise.all(
      single.map(async ({ job, payload, options }) => {
        const handle = await this.#insist(() => ledger.enqueue(job, payload, options))
        if (handle.id === options.id) this.promised.add(handle.id)
        else this.duplicates += 1
      }),
    )
    this.enqueued += specs.length
  }

  /** A process that was frozen in the middle of a commit holds up every other one: ids of our own make asking again safe. */
  async #insist<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      try {
        return await call()
      } catch (error) {
        // What it depends on was enqueued beside it, and refused: that one is asked for again, too.
        const isOrphan = error instanceof DependencyUnknown && this.refused > 0
        if (!(error instanceof StoreUnavailable) && !isOrphan) throw error
        this.refused += 1
        await sleep(LOOK_AGAIN_MS)
      }
    }
  }

  #follow({ type, data, stream }: RecordedEvent): void {
    if (!stream.startsWith('job-')) return
    this.movedAt = Date.now()
    const { by, error } = data as { by?: string; error?: string }
    if (type === 'Queued' || (type === 'Retried' && by === 'operator')) this.open += 1
    if (type !== 'Finished' && type !== 'Cancelled') return
    this.open -= 1
    if (error === 'SecondRound') void this.#retry(stream.slice('job-'.length))
    if (this.#isDone()) this.#emptied()
  }

  async #retry(id: string): Promise<void> {
    this.#retrying += 1
    await this.#insist(() => this.#options.ledger.retry(id))
    this.#retrying -= 1
    if (this.#isDone()) this.#emptied()
  }
}
