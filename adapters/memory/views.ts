/** Views that live and die with their process. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Outcome } from '../../domain/job/evolve.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type {
  ArchivedFilter,
  ArchivedRow,
  Checkpoint,
  EndedFilter,
  JobRow,
  JobRowFilter,
  Kept,
  Tombstone,
  Views,
} from '../../runtime/ports/views.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { verdict } from '../shared/view-checkpoints.js'
import { MemoryKeptCheckpoints } from './kept-checkpoints.js'

type Changes = Parameters<Views['save']>[0]

type ArchivedJob = Omit<JobRow, 'keepUntil' | 'state'> & Pick<ArchivedRow, 'segment'>

/** Rows taken before the event loop is let go. */
const SLICE = 300

export class MemoryViews implements Views {
  readonly past: MemoryKeptCheckpoints = new MemoryKeptCheckpoints(() => this.#checkOpen())
  #checkpoint: Checkpoint | undefined
  readonly #rows = new Map<string, JobRow>()
  /** Ids of the jobs that depend on one, by its id. */
  readonly #dependents = new Map<string, Set<string>>()
  readonly #removed = new Map<string, Tombstone>()
  /** By place, those of which there is more than a tombstone. */
  readonly #archived = new Map<string, ArchivedJob>()
  /** Places of rows whose job has lost its bodies. */
  readonly #expunged = new Set<string>()
  readonly #texts = new Map<string, string>()
  /** What `checkpoint` said last. */
  #seen: Checkpoint | undefined
  #closed = false

  async checkpoint(): Promise<Checkpoint | undefined> {
    this.#checkOpen()
    this.#seen = this.#checkpoint
    return this.#seen
  }

  async *live(): AsyncIterable<string[]> {
    this.#checkOpen()
    const live = [...this.#rows.values()].filter(({ phase }) => phase === 'waiting' || phase === 'leased')
    live.sort((a, b) => order(a.place, b.place))
    for (let start = 0; start < live.length; start += PAGE_SIZE) {
      yield live.slice(start, start + PAGE_SIZE).map(({ state }) => state)
      await nextTurn()
    }
  }

  async texts(): Promise<ReadonlyMap<string, string>> {
    this.#checkOpen()
    return new Map(this.#texts)
  }

  async atOneMoment<Result>(read: (kept: Kept) => Promise<Result>): Promise<Result> {
    this.#checkOpen()
    const copy = new MemoryViews()
    copy.#checkpoint = this.#checkpoint
    for (const [place, row] of this.#rows) copy.#rows.set(place, row)
    for (const [name, text] of this.#texts) copy.#texts.set(name, text)
    this.#seen = this.#checkpoint
    return read(copy)
  }

  async save(changes: Changes): Promise<boolean> {
    this.#checkOpen()
    const rows: JobRow[] = []
    for await (const row of changes.rows) {
      rows.push(row)
      if (rows.length % SLICE === 0) await nextTurn()
    }
    // Judged only now: another save may have come in between.
    const answer = verdict(this.#checkpoint, { ...changes, seen: this.#seen })
    if (answer !== 'write') return answer === 'ahead'
    if (changes.since === 'all') this.#clear()
    for (const row of rows) this.#put(row)
    for (const [id, tombstone] of changes.removed) this.#bury(id, tombstone)
    for (const place of changes.expunged)
      if (this.#rows.has(place) || this.#archived.has(place)) this.#expunged.add(place)
    for (const [name, text] of changes.texts) this.#texts.set(name, text)
    this.#checkpoint = changes.checkpoint
    return true
  }

  async list(filter: JobRowFilter): Promise<JobRow[]> {
    this.#checkOpen()
    const found = [...this.#rows.values()].filter((row) => matches(row, filter) && isBefore(row.place, filter))
    return found.sort((a, b) => order(b.place, a.place)).slice(0, filter.limit)
  }

  async ended(filter: EndedFilter): Promise<JobRow[]> {
    this.#checkOpen()
    const { keep, bodies } = filter
    const isWanted = ({ place, endPlace, keepUntil }: JobRow): boolean =>
      endPlace !== '' &&
      (keep === 'rules' ? keepUntil === null : keepUntil !== null && keepUntil < keep) &&
      !(bodies && this.#expunged.has(place))
    const found = [...this.#rows.values()].filter(
      (row) => isWanted(row) && matches(row, filter) && isBefore(row.endPlace, filter),
    )
    return found.sort((a, b) => order(b.endPlace, a.endPlace)).slice(0, filter.limit)
  }

  async archived({ segment, ...filter }: ArchivedFilter): Promise<ArchivedRow[]> {
    this.#checkOpen()
    const isWanted = ({ place, segment: of }: ArchivedJob): boolean =>
      (segment === undefined || of === segment) && !(filter.bodies && this.#expunged.has(place))
    const found = [...this.#archived.values()].filter(
      (job) => isWanted(job) && matches(job, filter) && isBefore(job.endPlace, filter),
    )
    found.sort((a, b) => order(b.endPlace, a.endPlace))
    return found.slice(0, filter.limit).map(({ id, endPlace, segment: of }) => ({ id, endPlace, segment: of }))
  }

  async dependents(id: string): Promise<string[]> {
    this.#checkOpen()
    return [...(this.#dependents.get(id) ?? [])]
  }

  removed(ids: readonly string[]): Promise<ReadonlyMap<string, Outcome>> {
    return this.#ofTombstones(ids, ({ outcome }) => outcome)
  }

  segments(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    return this.#ofTombstones(ids, ({ segment }) => segment)
  }

  async #ofTombstones<Fact>(
    ids: readonly string[],
    fact: (tombstone: Tombstone) => Fact | undefined,
  ): Promise<ReadonlyMap<string, Fact>> {
    this.#checkOpen()
    const found = new Map<string, Fact>()
    for (const [index, id] of ids.entries()) {
      if (index > 0 && index % PAGE_SIZE === 0) await nextTurn()
      const tombstone = this.#removed.get(id)
      const told = tombstone && fact(tombstone)
      if (told !== undefined) found.set(id, told)
    }
    return found
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #bury(id: string, tombstone: Tombstone): void {
    const { place, outcome, segment, archived } = tombstone
    this.#drop(place)
    this.#removed.set(id, tombstone)
    if (segment === undefined || archived === undefined) return
    this.#archived.set(place, { id, place, phase: outcome, segment, trigger: '', ...archived })
    if (archived.expunged) this.#expunged.add(place)
    this.#link(id, archived.dependsOn)
  }

  #put(row: JobRow): void {
    const { id, place, dependsOn } = row
    const kept = this.#rows.get(place)
    if (kept !== undefined) this.#unlink(kept)
    this.#rows.set(place, row)
    this.#link(id, dependsOn)
  }

  #link(id: string, dependsOn: readonly string[]): void {
    for (const dependency of dependsOn) {
      const dependents = this.#dependents.get(dependency)
      if (dependents === undefined) this.#dependents.set(dependency, new Set([id]))
      else dependents.add(id)
    }
  }

  #drop(place: string): void {
    const kept = this.#rows.get(place) ?? this.#archived.get(place)
    if (kept === undefined) return
    this.#unlink(kept)
    this.#rows.delete(place)
    this.#archived.delete(place)
    this.#expunged.delete(place)
  }

  #unlink({ id, dependsOn }: Pick<JobRow, 'id' | 'dependsOn'>): void {
    for (const dependency of dependsOn) {
      const dependents = this.#dependents.get(dependency)
      dependents?.delete(id)
      if (dependents?.size === 0) this.#dependents.delete(dependency)
    }
  }

  #clear(): void {
    for (const kept of [this.#rows, this.#dependents, this.#removed, this.#archived, this.#expunged, this.#texts])
      kept.clear()
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreClosed()
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function isBefore(place: string, { before }: JobRowFilter): boolean {
  return before === undefined || place < before
}

function matches(
  row: Omit<JobRow, 'keepUntil' | 'state'>,
  { types, queues, channels, triggers, phases }: JobRowFilter,
): boolean {
  return (
    (types?.includes(row.type) ?? true) &&
    (queues?.includes(row.queue) ?? true) &&
    (channels?.includes(row.channel) ?? true) &&
    (triggers?.includes(row.trigger) ?? true) &&
    (phases?.includes(row.phase) ?? true)
  )
}
