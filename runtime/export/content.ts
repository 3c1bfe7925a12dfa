/** What an export has, and how it is proven. */

import type { Manifest } from '../../domain/audit/bundle.js'
import type { EventTexts, Position, RecordedEvent } from '../../domain/event.js'
import { NAME_TAKEN } from '../../domain/job/events.js'
import { upcast } from '../../domain/upcast.js'
import type { Placed } from '../audit/prover.js'
import { type Gone, goneFrom } from '../copy/removed.js'
import type { CheckedRange } from '../history/checks.js'
import { readingOf, Sieve } from '../history/replay.js'
import type { LedgerPorts } from '../ledger-ports.js'
import type { LogReader } from '../ports/event-store.js'
import { toTexts } from '../read/texts.js'

/** A line. */
export type Item =
  /** `isSealed`: by the last checkpoint. Undefined where there is none, and for what is no leaf. */
  | { readonly event: EventTexts; readonly place?: Placed; readonly isSealed?: boolean }
  /** Of an event that was removed, all that is left. */
  | { readonly leaf: Uint8Array; readonly index: number }

/** What of the manifest says how the lines are proven. */
export type Proof = Pick<Manifest, 'origin' | 'checkpoint' | 'consistency' | 'slice' | 'unproven'>

/** Gone through twice, for the manifest comes first and says what follows. Throws LogDiffers where nothing can be proven of it. */
export interface Content {
  survey(): AsyncIterable<readonly Item[]>
  /** After that. `since`: a note from before, which the checkpoint is to be shown to have grown out of. */
  proof(since: string | undefined): Promise<Proof>
  lines(): AsyncIterable<readonly Item[]>
}

export interface Bounds {
  readonly after: Position
  readonly until: Position
}

export interface ExportWorld {
  readonly wholeLog: LogReader
  readonly ports: Pick<LedgerPorts, 'store' | 'clock' | 'digest'>
}

/** The stretch of the log that is exported, and what of it is let through. */
export class Selection {
  readonly log: LogReader
  readonly bounds: Bounds
  readonly #world: ExportWorld
  readonly #range: CheckedRange
  #gone: Promise<Gone> | undefined

  constructor(world: ExportWorld, range: CheckedRange, bounds: Bounds) {
    this.log = world.wholeLog
    this.bounds = bounds
    this.#world = world
    this.#range = range
  }

  get isFiltered(): boolean {
    return Object.values(this.#range.filter).some((each) => each !== undefined)
  }

  /** A store may show events of streams that were removed, for a while or for good. */
  get lingers(): boolean {
    const { atomicGroups, hidesRemoved } = this.#world.ports.store.capabilities
    return !atomicGroups || hidesRemoved === false
  }

  /** Such streams: they are not told. */
  gone(): Promise<Gone> {
    const { capabilities } = this.#world.ports.store
    this.#gone ??= this.lingers
      ? goneFrom({ log: this.log, capabilities }, this.bounds.until)
      : Promise.resolve(new Map())
    return this.#gone
  }

  async *events(bodies: boolean): AsyncGenerator<EventTexts[], void, undefined> {
    const { filter } = this.#range
    if (this.bounds.until === '') return
    const sieve = new Sieve(this.log, filter)
    const gone = await this.gone()
    const pages = this.log.readAll({ ...this.bounds, ...readingOf(filter), bodies })
    for await (const page of this.unhurried(pages)) {
      const wanted: RecordedEvent[] = []
      for (const event of page) {
        if (event.type === NAME_TAKEN || gone.has(event.stream)) continue
        if (await sieve.lets(upcast(event))) wanted.push(event)
      }
      if (wanted.length > 0) yield wanted.map(toTexts)
    }
  }

  /** A store that answers at once would keep everybody else waiting. Throws the signal's reason. */
  async *unhurried<Page>(pages: AsyncIterable<Page>): AsyncGenerator<Page, void, undefined> {
    for await (const page of pages) {
      await new Promise<void>((resolve) => this.#world.ports.clock.soon(resolve))
      this.#range.signal?.throwIfAborted()
      yield page
    }
  }
}

/** By nothing: the log has no checkpoint, or is not what was signed of it. */
export class Unproven implements Content {
  readonly #selection: Selection
  readonly #why: string | undefined

  constructor(selection: Selection, why?: string) {
    this.#selection = selection
    this.#why = why
  }

  survey(): AsyncIterable<readonly Item[]> {
    return this.#items(false)
  }

  async proof(): Promise<Proof> {
    return this.#why === undefined ? {} : { unproven: this.#why }
  }

  lines(): AsyncIterable<readonly Item[]> {
    return this.#items(true)
  }

  async *#items(bodies: boolean): AsyncGenerator<readonly Item[], void, undefined> {
    for await (const page of this.#selection.events(bodies)) yield page.map((event) => ({ event }))
  }
}
