/** Jobs that have ended are not in memory: what the views keep of them is compared row by row with what the log says. */
import type { Position } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { endedLine } from '../../projections/canonical.js'
import type { DependencyGraph } from '../../projections/dependency-graph.js'
import type { JobRow } from '../../projections/job-row.js'
import { toRow } from '../../projections/job-row.js'
import type { Digest } from '../ports/digest.js'
import type { LogReader } from '../ports/event-store.js'
import type { Queries } from '../read/queries.js'

const PHASES = ['succeeded', 'failed', 'cancelled'] as const
const PAGE = 500
/** Hex digits of a row's hash that are remembered: there may be millions of them. */
const DIGITS = 16
/** In place of the hash of a row that is not there. */
const NONE = '-'

export class EndedJobs {
  readonly #digest: Digest
  readonly #queries: Queries
  readonly #log: LogReader
  /** By job, as the log says. */
  readonly #hashes = new Map<string, string>()
  #live = ''
  #rebuilt = ''

  constructor({
    digest,
    queries,
    log,
  }: { readonly digest: Digest; readonly queries: Queries; readonly log: LogReader }) {
    this.#digest = digest
    this.#queries = queries
    this.#log = log
  }

  /** What a page of the log has made of these jobs. */
  take(jobs: Iterable<JobState>, graph: DependencyGraph): void {
    for (const job of jobs) {
      if (job.phase === 'ended') this.#hashes.set(job.id, this.#hashOf(endedLine(toRow(job, graph))))
      else this.#hashes.delete(job.id)
    }
  }

  /** Their streams have left the log, and their rows the views. */
  forget(ids: Iterable<string>): void {
    for (const id of ids) this.#hashes.delete(id)
  }

  /** What has happened to a job after `position` is no difference. Throws the signal's reason. */
  async compare(position: Position, signal: AbortSignal | undefined): Promise<{ live: string; rebuilt: string }> {
    for (let before: string | undefined; ; ) {
      signal?.throwIfAborted()
      const page = await this.#queries.rows({
        ...{ phases: PHASES, limit: PAGE },
        ...(before !== undefined && { before }),
      })
      await this.#add(
        page.map((row) => [row.id, this.#hashOf(lineOf(row)), this.#hashes.get(row.id) ?? NONE]),
        position,
      )
      for (const { id } of page) this.#hashes.delete(id)
      before = page.at(-1)?.place
      if (page.length < PAGE) break
    }
    await this.#addMissing(position, signal)
    return { live: this.#live, rebuilt: this.#rebuilt }
  }

  /** Those that the views do not have. */
  async #addMissing(position: Position, signal: AbortSignal | undefined): Promise<void> {
    const missing = [...this.#hashes].sort(([a], [b]) => (a < b ? -1 : 1))
    for (let from = 0; from < missing.length; from += PAGE) {
      signal?.throwIfAborted()
      const some = missing.slice(from, from + PAGE)
      await this.#add(
        some.map(([id, rebuilt]) => [id, NONE, rebuilt]),
        position,
      )
    }
  }

  async #add(lines: readonly Line[], position: Position): Promise<void> {
    const { sha256 } = this.#digest
    const told: Line[] = []
    for (const line of lines) {
      const [id, live, rebuilt] = line
      if (live === rebuilt || !(await this.#hasGoneOn(id, position))) told.push(line)
    }
    this.#live = sha256(this.#live, told.map(([id, live]) => `${id} ${live}`).join('\n'))
    this.#rebuilt = sha256(this.#rebuilt, told.map(([id, , rebuilt]) => `${id} ${rebuilt}`).join('\n'))
  }

  async #hasGoneOn(id: string, position: Position): Promise<boolean> {
    if ((await this.#queries.removed([id])).has(id)) return true
    for await (const [last] of this.#log.readStream(jobStream(id), { backwards: true, limit: 1 }))
      return last !== undefined && last.position > position
    return false
  }

  #hashOf(line: string): string {
    return this.#digest.sha256(line).slice(0, DIGITS)
  }
}

type Line = readonly [id: string, live: string, rebuilt: string]

/** What cannot be read was written by nobody of ours. */
function lineOf(row: JobRow): string {
  try {
    return endedLine(row)
  } catch {
    return JSON.stringify(row)
  }
}
