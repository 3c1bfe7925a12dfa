/** Workers that live elsewhere: made known here, so that leases can be taken in their name. */
import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import { checkKeys, toCount, toName, toTexts } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import type { Ids } from '../ports/ids.js'
import type { Feed } from '../read/feed.js'
import type { Queries } from '../read/queries.js'
import type { Journal } from '../write/journal.js'
import * as commands from '../write/worker-commands.js'

export interface RegisterOptions {
  /** Shown to people. */
  readonly name?: string
  /** What it takes; told, not enforced. */
  readonly types?: string | readonly string[]
  readonly queues?: string | readonly string[]
  readonly channels?: string | readonly string[]
  readonly arch?: string
  /** Runs at once, default 1. */
  readonly concurrency?: number
  readonly codeVersion?: string
}

/** A worker that has neither stopped nor been lost. Times are ms since the epoch. */
export interface WorkerInfo extends Omit<RegisterOptions, 'types' | 'queues' | 'channels' | 'concurrency'> {
  readonly id: string
  readonly status: 'active' | 'draining'
  readonly types: readonly string[]
  readonly queues?: readonly string[]
  readonly channels?: readonly string[]
  readonly concurrency: number
  readonly registeredAt: number
  readonly lastSeenAt: number
}

const KEYS = new Set(['name', 'types', 'queues', 'channels', 'arch', 'concurrency', 'codeVersion'])
const LIST_KEYS = new Set(['olderThan'])

export class WorkerDesk {
  readonly #journal: Journal
  readonly #feed: Feed
  readonly #queries: Queries
  readonly #clock: Clock
  readonly #ids: Ids

  constructor(options: {
    readonly journal: Journal
    readonly feed: Feed
    readonly queries: Queries
    readonly clock: Clock
    readonly ids: Ids
  }) {
    this.#journal = options.journal
    this.#feed = options.feed
    this.#queries = options.queries
    this.#clock = options.clock
    this.#ids = options.ids
  }

  /** The new worker's id. Throws InvalidOption. */
  async register(given: RegisterOptions = {}): Promise<string> {
    checkKeys(given, KEYS, 'register')
    const { name, arch, codeVersion, concurrency = 1 } = given
    const id = this.#ids.uuid()
    await this.#journal.submit(
      commands.register(id, {
        types: toTexts(given.types, 'register.types') ?? [],
        queues: toTexts(given.queues, 'register.queues'),
        channels: toTexts(given.channels, 'register.channels'),
        concurrency: toCount(concurrency, 'register.concurrency', 1),
        name: name === undefined ? undefined : toName(name, 'register.name'),
        arch: arch === undefined ? undefined : toName(arch, 'register.arch'),
        codeVersion: codeVersion === undefined ? undefined : toName(codeVersion, 'register.codeVersion'),
      }),
    )
    return id
  }

  /** A sign of life. Throws WorkerUnknown. */
  async touch(workerId: string): Promise<void> {
    return this.#journal.submit(commands.beat(toName(workerId, 'touch.workerId')))
  }

  /** Those whose last sign of life is strictly longer ago than `olderThan`; without it all. Longest silence first. */
  async list(given: { readonly olderThan?: Duration } = {}): Promise<WorkerInfo[]> {
    checkKeys(given, LIST_KEYS, 'workers.list')
    const ms = given.olderThan === undefined ? undefined : toMs(given.olderThan, 'workers.list.olderThan')
    await this.#queries.catchUp()
    const now = this.#clock.now()
    return [...this.#feed.workers.workers.values()]
      .filter(({ lastSeenAt }) => ms === undefined || now - lastSeenAt > ms)
      .sort((a, b) => a.lastSeenAt - b.lastSeenAt)
      .map(toInfo)
  }
}

function toInfo(worker: WorkerState): WorkerInfo {
  const { id, status, types, queues, channels, concurrency, registeredAt, lastSeenAt, name, arch, codeVersion } = worker
  return {
    ...{ id, status: status as WorkerInfo['status'], types, concurrency, registeredAt, lastSeenAt },
    ...(queues !== undefined && { queues }),
    ...(channels !== undefined && { channels }),
    ...(name !== undefined && { name }),
    ...(arch !== undefined && { arch }),
    ...(codeVersion !== undefined && { codeVersion }),
  }
}
