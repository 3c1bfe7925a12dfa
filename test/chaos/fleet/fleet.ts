/** Several processes work on one log while they are killed, frozen and stopped at random; then the log is judged. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openLedger } from '../../../index.js'
import type { Deed, Pace } from './deeds.js'
import { deedsFor, LEASE_MS } from './deeds.js'
import { diaryFaults } from './diaries.js'
import { Feeder } from './feeder.js'
import { type Ground, sqliteFile } from './ground.js'
import { jobs } from './jobs.js'
import { faultsIn } from './laws.js'
import { orderFaults } from './order.js'
import type { Survey } from './outcomes.js'
import { outcomesOf } from './outcomes.js'
import { Slot } from './slot.js'

/** No job has moved for so long, with everybody awake now and then: it hangs. */
const STALL_MS = 120_000
const LOOK_MS = 500

export interface FleetOptions {
  readonly seed: number
  readonly processes: number
  readonly concurrency: number
  /** How many; with `minutes` as many as come in that time. */
  readonly jobs: number
  readonly minutes?: number | undefined
  /** On average: how fast they come in. */
  readonly perSecond: number
  readonly pace: Pace
  /** What is done to process number n, instead of what the seed says. */
  deeds?(n: number): Iterator<Deed, never>
  /** Where the log is. Default: a file in the run's own folder. */
  readonly ground?: Ground
  /** What is done to the store meanwhile; what it rejects with is a fault. `did` counts it. */
  trouble?(signal: AbortSignal, did: (what: string) => void): Promise<void>
  /** Leave the files, also when all is well. */
  readonly keep?: boolean
  onProgress?(progress: Progress): void
  readonly signal?: AbortSignal
}

export interface Progress {
  readonly enqueued: number
  /** Jobs that have not ended. */
  readonly open: number
  readonly deeds: Survey
}

export interface Report {
  readonly folder: string
  /** Everything that is wrong; empty: all is well. */
  readonly faults: readonly string[]
  readonly deeds: Survey
  readonly survey: Survey
  /** What the processes said of their troubles, and how often. */
  readonly said: Survey
}

/** Rejects with the reason of `signal`. */
export async function runFleet(options: FleetOptions): Promise<Report> {
  const folder = await mkdtemp(join(tmpdir(), 'jobledger-chaos-'))
  const run = new FleetRun(options, folder)
  const troubles = await run.live()
  const report = await run.judge(troubles)
  if (options.keep !== true && report.faults.length === 0) await rm(folder, { recursive: true, force: true })
  return report
}

class FleetRun {
  readonly #options: FleetOptions
  readonly #folder: string
  readonly #ground: Ground
  readonly #deeds = new Map<string, number>()
  readonly #said = new Map<string, number>()
  #promised: ReadonlySet<string> = new Set()
  #duplicates = 0
  #refused = 0

  constructor(options: FleetOptions, folder: string) {
    this.#options = options
    this.#folder = folder
    this.#ground = options.ground ?? sqliteFile(join(folder, 'jobs.db'))
  }

  /** What went wrong with the processes themselves. */
  async live(): Promise<string[]> {
    const { seed, minutes, perSecond, onProgress, signal } = this.#options
    const began = Date.now()
    const ledger = await openLedger({ url: this.#ground.url, jobs })
    const isEnough = (): boolean => minutes !== undefined && Date.now() - began > minutes * 60_000
    const count = minutes === undefined ? this.#options.jobs : Number.POSITIVE_INFINITY
    const feeder = new Feeder({ ledger, seed, jobs: count, perSecond, isEnough })
    const over = new AbortController()
    const slots = Array.from({ length: this.#options.processes }, (_, n) => this.#slot(n))
    const troubles: string[] = []
    const fail = (error: Error): void => {
      troubles.push(error.message)
      over.abort()
    }
    const lives = slots.map((slot) => slot.run(over.signal).catch(fail))
    const look = setInterval(() => {
      onProgress?.({ enqueued: feeder.enqueued, open: feeder.open, deeds: Object.fromEntries(this.#deeds) })
      if (Date.now() - feeder.movedAt > STALL_MS) over.abort(new Error('no job has moved for two minutes'))
    }, LOOK_MS)
    const interrupted = (): void => over.abort(signal?.reason)
    signal?.addEventListener('abort', interrupted)
    try {
      await Promise.race([this.#work(feeder, over.signal, fail), aborted(over.signal)]).catch((error: Error) => {
        if (troubles.length === 0) troubles.push(error.message)
      })
    } finally {
      over.abort()
      clearInterval(look)
      if (signal?.aborted) for (const slot of slots) slot.kill()
      await Promise.all(lives)
      await ledger.close()
      signal?.removeEventListener('abort', interrupted)
    }
    signal?.throwIfAborted()
    this.#promised = feeder.promised
    this.#duplicates = feeder.duplicates
    this.#refused = feeder.refused
    return troubles
  }

  /** From when all processes are there until everything that was enqueued has ended, and all trouble is over. */
  async #work(feeder: Feeder, signal: AbortSignal, fail: (error: Error) => void): Promise<void> {
    const { processes, trouble } = this.#options
    while ((this.#deeds.get('started') ?? 0) < processes) await sleep(LOOK_MS / 10, undefined, { signal })
    const did = (what: string): void => add(this.#deeds, what)
    const troubling = Promise.resolve(trouble?.(signal, did)).catch(fail)
    await feeder.run(signal)
    await troubling
  }

  #slot(n: number): Slot {
    const { seed, pace, concurrency } = this.#options
    // Alone it is judged by the order of its leases, too: frozen in the middle of a decision it would decide on what was.
    const deeds = this.#options.deeds?.(n) ?? deedsFor(seed, n, { freezes: this.#options.processes > 1, ...pace })
    return new Slot({
      args: [this.#ground.url, join(this.#folder, `diary-${n}`), String(concurrency), String(LEASE_MS)],
      deeds,
      onDeed: (what) => add(this.#deeds, what),
      onSaid: ({ message, error }) => add(this.#said, error === undefined ? message : `${message}: ${error}`),
    })
  }

  async judge(troubles: readonly string[]): Promise<Report> {
    const events = await this.#ground.log()
    const { faults, survey } = outcomesOf(events, this.#promised)
    const order = this.#options.processes === 1 ? orderFaults(events) : []
    return {
      folder: this.#folder,
      faults: [
        ...troubles,
        ...this.#misreadings(),
        ...faultsIn(events),
        ...order,
        ...diaryFaults(await this.#diaries(), events),
        ...faults,
      ],
      deeds: Object.fromEntries(this.#deeds),
      survey: { ...survey, 'refused as duplicates of a key': this.#duplicates, 'enqueued again': this.#refused },
      said: Object.fromEntries(this.#said),
    }
  }

  /** A process that could not fold an event has read something that the log does not say. */
  #misreadings(): string[] {
    return [...this.#said.keys()].filter((what) => what.startsWith('event skipped'))
  }

  async #diaries(): Promise<string[]> {
    const names = (await readdir(this.#folder)).filter((name) => name.startsWith('diary-'))
    return Promise.all(names.map((name) => readFile(join(this.#folder, name), 'utf8')))
  }
}

const add = (counts: Map<string, number>, what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1)

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}
