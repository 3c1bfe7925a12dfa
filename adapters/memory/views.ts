/** Views that live and die with their process. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type { Checkpoint, JobRow, JobRowFilter, Views } from '../../runtime/ports/views.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { verdict } from '../shared/view-checkpoints.js'

type Changes = Parameters<Views['save']>[0]

/** Rows taken before the event loop is let go. */
const SLICE = 300

export class MemoryViews implements Views {
  #checkpoint: Checkpoint | undefined
  #rows = new Map<string, JobRow>()
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
    if (changes.since === 'all') {
      this.#rows = new Map()
      this.#texts.clear()
    }
    for (const row of rows) this.#rows.set(row.place, row)
    for (const [name, text] of changes.texts) this.#texts.set(name, text)
    this.#checkpoint = changes.checkpoint
    return true
  }

  async list(filter: JobRowFilter): Promise<JobRow[]> {
    this.#checkOpen()
    const found = [...this.#rows.values()].filter((row) => matches(row, filter))
    return found.sort((a, b) => order(b.place, a.place)).slice(0, filter.limit)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreClosed()
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function matches(row: JobRow, { types, queues, channels, phases, before }: JobRowFilter): boolean {
  return (
    (types?.includes(row.type) ?? true) &&
    (queues?.includes(row.queue) ?? true) &&
    (channels?.includes(row.channel) ?? true) &&
    (phases?.includes(row.phase) ?? true) &&
    (before === undefined || row.place < before)
  )
}
