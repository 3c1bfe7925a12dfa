import type { Json, Position, RecordedEvent } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import { upcast } from '../../domain/upcast.js'
import type { Projection } from '../../projections/fold.js'
import { keyOf, step } from '../../projections/fold.js'
import { type LogReader, StoreUnusable } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { KeptProjection, ProjectionRows } from '../ports/read-models.js'
import type { Checkpoint } from '../ports/views.js'
import { fits, isSame } from './fits.js'

/** Events of one save. */
const SLICE = 4_000
/** Rows that are remembered. */
const REMEMBERED = 20_000

/** Why a projection stands still: its function threw at this event. */
export interface ProjectionFailure {
  readonly position: Position
  readonly stream: string
  readonly revision: number
  readonly type: string
  readonly error: string
}

export interface RunnerOptions {
  readonly log: LogReader
  readonly logId: string
  readonly rows: ProjectionRows
  readonly projection: Projection
  /** Under which its rows are kept. Default: its own. */
  readonly name?: string
  readonly logger: Logger
}

/** Brings the log into the rows of one projection, each slice wholly and once, as `Follower` does for the tables. */
export class ProjectionRunner {
  readonly #options: RunnerOptions
  readonly #name: string
  #at: KeptProjection | undefined
  #known = false
  /** Nothing up to here is left to come in. */
  #scanned: Position = START
  #remembered = new Map<string, string | null>()

  constructor(options: RunnerOptions) {
    this.#options = options
    this.#name = options.name ?? options.projection.name
  }

  get position(): Position {
    return this.#at?.checkpoint.position ?? START
  }

  get failure(): ProjectionFailure | undefined {
    const text = this.#at?.failure
    return text === undefined ? undefined : (JSON.parse(text) as ProjectionFailure)
  }

  /** Brings in all up to `until`, or up to the event that it fails of. One call at a time. */
  async catchUp(until: Position, onEvents: (count: number) => void = () => {}): Promise<void> {
    await this.#look()
    while (this.#at?.failure === undefined && this.#scanned < until) {
      if (await this.#through(until, onEvents)) continue
      this.#known = false
      await this.#look()
    }
  }

  async #look(): Promise<void> {
    const { rows, log, logId, projection, logger } = this.#options
    for (;;) {
      const kept = await rows.of(this.#name)
      if (this.#known && isSame(kept?.checkpoint, this.#at?.checkpoint)) return
      if (kept === undefined || (await fits(log, { logId, version: projection.version }, kept.checkpoint))) {
        this.#at = kept
        this.#known = true
        this.#scanned = this.position
        this.#remembered = new Map()
        return
      }
      const { version } = kept.checkpoint
      if (kept.checkpoint.logId === logId && version > projection.version) {
        // Else two programs of different age would take it from each other for ever.
        throw new StoreUnusable(
          `Expected projection ${this.#name} to be of version ${projection.version} at most, found ${version}: a newer program keeps it.`,
        )
      }
      logger.info({ projection: this.#name, checkpoint: kept.checkpoint }, 'projection is built again')
      await rows.drop(this.#name)
    }
  }

  /** False: somebody else was faster. */
  async #through(until: Position, onEvents: (count: number) => void): Promise<boolean> {
    const types = Object.keys(this.#options.projection.on)
    let slice: RecordedEvent[] = []
    for await (const page of this.#options.log.readAll({ after: this.#scanned, until, types })) {
      // Of those of a version that is not known the feed has told.
      slice.push(...page.flatMap((event) => quietly(() => upcast(event)) ?? []))
      if (slice.length < SLICE) continue
      if (!(await this.#bring(slice))) return false
      onEvents(slice.length)
      slice = []
      if (this.#at?.failure !== undefined) return true
    }
    if (slice.length > 0 && !(await this.#bring(slice))) return false
    onEvents(slice.length)
    if (this.#at?.failure === undefined) this.#scanned = until
    return true
  }

  async #bring(slice: readonly RecordedEvent[]): Promise<boolean> {
    const { rows, logId, projection, logger } = this.#options
    await this.#remember(slice)
    const changed = new Map<string, string | null>()
    let last: RecordedEvent | undefined
    let failure: ProjectionFailure | undefined
    for (const event of slice) {
      try {
        this.#apply(event, changed)
        last = event
      } catch (error) {
        failure = failureAt(event, error)
        logger.error({ err: error, projection: this.#name, ...failure }, 'projection stands still: it throws')
        break
      }
    }
    const since = this.position
    const at = last === undefined ? this.#at?.checkpoint : undefined
    const checkpoint = at ?? checkpointAt(last, logId, projection.version)
    const kept = { checkpoint, ...(failure !== undefined && { failure: JSON.stringify(failure) }) }
    if (!(await this.#saved(rows.save(this.#name, { ...kept, since, rows: changed })))) return false
    this.#at = kept
    this.#scanned = checkpoint.position
    return true
  }

  async #saved(saving: Promise<boolean>): Promise<boolean> {
    try {
      return await saving
    } catch (error) {
      this.#known = false
      throw error
    }
  }

  #apply(event: RecordedEvent, changed: Map<string, string | null>): void {
    const { projection } = this.#options
    const key = keyOf(projection, event)
    if (key === undefined) return
    const before = this.#remembered.get(key) ?? null
    const row = step(projection, before === null ? undefined : JSON.parse(before), event)
    const text = row === null ? null : textOf(row)
    this.#remembered.set(key, text)
    if (text !== before) changed.set(key, text)
  }

  /** The rows that these events are about. A key that throws is told when its event comes up. */
  async #remember(slice: readonly RecordedEvent[]): Promise<void> {
    const { rows, projection } = this.#options
    if (this.#remembered.size > REMEMBERED) this.#remembered = new Map()
    const keys = new Set<string>()
    for (const event of slice) {
      const key = quietly(() => keyOf(projection, event))
      if (key !== undefined && !this.#remembered.has(key)) keys.add(key)
    }
    if (keys.size === 0) return
    const kept = await rows.rows(this.#name, { keys: [...keys] })
    for (const key of keys) this.#remembered.set(key, kept.get(key) ?? null)
  }
}

function quietly<Result>(work: () => Result): Result | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

/** Throws TypeError for what JSON has no text for. */
function textOf(row: unknown): string {
  const text = JSON.stringify(row as Json)
  if (text === undefined) throw new TypeError('Expected a row that is JSON.')
  return text
}

function checkpointAt(event: RecordedEvent | undefined, logId: string, version: number): Checkpoint {
  const { position = START, stream = '', revision = 0, id: eventId = '' } = event ?? {}
  return { logId, version, position, stream, revision, eventId }
}

function failureAt({ position, stream, revision, type }: RecordedEvent, error: unknown): ProjectionFailure {
  return {
    position,
    stream,
    revision,
    type,
    error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  }
}
