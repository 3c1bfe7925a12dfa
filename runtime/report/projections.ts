import type { Observable } from 'rxjs'
import { Observable as Stream } from 'rxjs'
import { InvalidOption } from '../../domain/errors.js'
import type { Position } from '../../domain/event.js'
import type { Projection } from '../../projections/fold.js'
import { toText } from '../checks.js'
import { delay } from '../ports/clock.js'
import type { ProjectionRows } from '../ports/read-models.js'
import { Bell } from '../upkeep/bell.js'
import type { Models, ModelsOptions, TablesRebuild } from './models.js'
import type { ProjectionFailure } from './projection-runner.js'
import { ProjectionRunner } from './projection-runner.js'
import type { RebuiltTable } from './rebuild.js'

/** Rows read at a time. */
const PAGE = 1_000
/** How long a live view collects changes (ms). */
const BEAT = 100

export interface ProjectionStatus {
  readonly name: string
  readonly version: number
  /** `failed`: one of its functions threw at `failure`; it stands still there, until its version is raised. */
  readonly state: 'running' | 'failed'
  /** Of the last event that has come in; '' before the first. */
  readonly position: Position
  readonly failure?: ProjectionFailure
}

/** The rows of one projection, with all that was in the log when they are asked for, as far as it has not failed. */
export interface ProjectionView<Row = unknown> {
  /** undefined: there is none. Without a key: the one row of a projection that has no `key`. */
  get(key?: string): Promise<Row | undefined>
  /** All of them, in order of their keys. */
  rows(): Promise<ReadonlyMap<string, Row>>
  /** All of them now, and again after each change, until it is unsubscribed from or the ledger closes. */
  readonly rows$: Observable<ReadonlyMap<string, Row>>
  status(): Promise<ProjectionStatus>
}

export interface ProjectionsOptions extends ModelsOptions {
  readonly definitions: readonly Projection[]
  readonly models: Models
  /** Emits when there may be something new. */
  readonly pages$: Observable<void>
}

interface Kept {
  readonly rows: ProjectionRows
  readonly runner: ProjectionRunner
}

/** The projections that `openLedger` was given, each at its own checkpoint. */
export class Projections {
  readonly #options: ProjectionsOptions
  readonly #definitions: ReadonlyMap<string, Projection>
  readonly #runners = new Map<string, Promise<Kept>>()
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #ending = new AbortController()

  constructor(options: ProjectionsOptions) {
    this.#options = options
    this.#definitions = new Map(options.definitions.map((each) => [each.name, each]))
  }

  get definitions(): readonly Projection[] {
    return [...this.#definitions.values()]
  }

  /** Throws InvalidOption. */
  view(given: unknown): ProjectionView {
    const name = toText(given, 'projection.name')
    if (!this.#definitions.has(name)) {
      throw new InvalidOption(
        'projection.name',
        `one of openLedger.projections (${[...this.#definitions.keys()].join(', ')})`,
        name,
      )
    }
    return {
      get: async (key = '') => {
        const { rows } = await this.caughtUp(name)
        const text = (await rows.rows(name, { keys: [toText(key, 'projection.key')] })).get(key)
        return text === undefined ? undefined : (JSON.parse(text) as unknown)
      },
      rows: async () => parsed(await allRows((await this.caughtUp(name)).rows, name)),
      rows$: new Stream((subscriber) => {
        const stop = new AbortController()
        const signal = AbortSignal.any([stop.signal, this.#ending.signal])
        this.#follow(name, (rows) => subscriber.next(rows), signal).then(
          () => subscriber.complete(),
          (error: unknown) => (signal.aborted ? subscriber.complete() : subscriber.error(error)),
        )
        return () => stop.abort()
      }),
      status: async () => this.#status((await this.caughtUp(name)).runner, name),
    }
  }

  #status({ position, failure }: ProjectionRunner, name: string): ProjectionStatus {
    const { version } = this.#definitions.get(name) as Projection
    return { name, version, state: failure === undefined ? 'running' : 'failed', position, ...(failure && { failure }) }
  }

  async #follow(name: string, next: (rows: ReadonlyMap<string, unknown>) => void, signal: AbortSignal): Promise<void> {
    const { clock, pages$ } = this.#options
    const bell = new Bell()
    const ringing = pages$.subscribe(() => bell.ring())
    let kept: Map<string, string> | undefined
    let seen: Position | undefined
    try {
      for (bell.ring(); ; await delay(clock, BEAT, signal)) {
        await bell.wait(signal)
        const { rows, runner } = await this.caughtUp(name)
        if (kept !== undefined && runner.position === seen) continue
        seen = runner.position
        const now = await allRows(rows, name)
        if (kept !== undefined && isEqual(kept, now)) continue
        kept = now
        next(parsed(now))
      }
    } finally {
      ringing.unsubscribe()
    }
  }

  /** Keeps all of them up until `signal` aborts. */
  async keepUp(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.run()
      await delay(this.#options.clock, BEAT, signal)
    }
  }

  /** Brings all of them up; one that fails does not stop the others. */
  async run(): Promise<void> {
    for (const name of this.#definitions.keys()) await this.caughtUp(name)
  }

  /** Brings one up to the end of the log. */
  async caughtUp(name: string): Promise<Kept> {
    const kept = await this.#open(name)
    const head = await this.#options.store.head()
    await this.#inTurn(name, () => kept.runner.catchUp(head))
    return kept
  }

  /** Builds one once more beside the one that serves; see `Models.rebuild`. */
  async rebuild(name: string, { signal, onEvents, apply = false }: TablesRebuild = {}): Promise<RebuiltTable> {
    const { store, log, logger, digest } = this.#options
    const { rows, runner } = await this.caughtUp(name)
    const projection = this.#definitions.get(name) as Projection
    const beside = `~${name}`
    await rows.drop(beside)
    const fresh = new ProjectionRunner({ log, logId: store.logId, rows, projection, name: beside, logger })
    await fresh.catchUp(runner.position, onEvents)
    signal?.throwIfAborted()
    return this.#inTurn(name, async () => {
      await runner.catchUp(await store.head())
      const { position } = runner
      await fresh.catchUp(position, onEvents)
      const hash = async (of: string): Promise<string> => digest.sha256(JSON.stringify([...(await allRows(rows, of))]))
      const [live, rebuilt] = [await hash(name), await hash(beside)]
      if (apply) await rows.replace(name, beside)
      else await rows.drop(beside)
      // What it remembers of rows is of those before.
      if (apply) this.#runners.delete(name)
      return { name, version: projection.version, position, identical: live === rebuilt, live, rebuilt }
    })
  }

  /** One at a time for each projection. */
  #inTurn<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const done = (this.#turns.get(name) ?? Promise.resolve()).then(work)
    this.#turns.set(
      name,
      done.catch(() => {}),
    )
    return done
  }

  #open(name: string): Promise<Kept> {
    const known = this.#runners.get(name)
    if (known !== undefined) return known
    const made = this.#make(name)
    this.#runners.set(name, made)
    made.catch(() => this.#runners.delete(name))
    return made
  }

  async #make(name: string): Promise<Kept> {
    const { models, log, store, logger } = this.#options
    const { projections: rows } = await models.opened()
    const projection = this.#definitions.get(name) as Projection
    return { rows, runner: new ProjectionRunner({ log, logId: store.logId, rows, projection, logger }) }
  }

  /** Ends what follows them live. */
  async close(): Promise<void> {
    this.#ending.abort()
    await Promise.all(this.#turns.values())
  }
}

/** JSON texts by key. */
async function allRows(rows: ProjectionRows, name: string): Promise<Map<string, string>> {
  const all = new Map<string, string>()
  for (let after = ''; ; ) {
    const page = await rows.rows(name, { after, limit: PAGE })
    for (const [key, row] of page) all.set(key, row)
    const last = [...page.keys()].at(-1)
    if (page.size < PAGE || last === undefined || last === after) return all
    after = last
  }
}

const parsed = (texts: ReadonlyMap<string, string>): Map<string, unknown> =>
  new Map([...texts].map(([key, text]) => [key, JSON.parse(text) as unknown]))

function isEqual(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean {
  return one.size === other.size && [...one].every(([key, row]) => other.get(key) === row)
}
