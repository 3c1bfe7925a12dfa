/** Reads what is needed to explain something, and asks the projections for the answer. */
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { Claimed } from '../../domain/claim/events.js'
import { InvalidOption } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { JobState, Outcome } from '../../domain/job/evolve.js'
import { queueStream } from '../../domain/queue/events.js'
import { JobRemoved, JobUnknown } from '../../domain/rejection.js'
import { triggerStream } from '../../domain/trigger/events.js'
import { upcast } from '../../domain/upcast.js'
import { workerStream } from '../../domain/worker/events.js'
import type { Deed } from '../../projections/deeds.js'
import { deedOf } from '../../projections/deeds.js'
import type { Explanation } from '../../projections/explanation.js'
import { explain, explainRemoved, explainUnknown, names, removalOf } from '../../projections/explanation.js'
import type { JobStatusName } from '../../projections/job-status.js'
import { statusName } from '../../projections/job-status.js'
import type { KeyExplanation, TriggerExplanation } from '../../projections/why-refused.js'
import { explainKey, explainTrigger } from '../../projections/why-refused.js'
import type { OpenDependency, Surroundings } from '../../projections/why-waiting.js'
import { checkKeys, checkObject, toLabel, toName } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import type { LogReader } from '../ports/event-store.js'
import { encode } from '../write/codec.js'
import type { UniqueOptions } from '../write/contract.js'
import { identityOf } from '../write/enqueue-options.js'
import { storedText, uniqueStreamOf } from '../write/unique.js'
import type { Feed } from './feed.js'
import type { Queries } from './queries.js'

/** Who holds this key? As `unique` of an enqueue; where it gave no key: the payload. */
export interface UniqueQuestion {
  readonly unique: Pick<UniqueOptions, 'key' | 'scope'> & { readonly payload?: unknown }
  /** That of the jobs, as far as the scope asks for it. */
  readonly type?: string
  readonly queue?: string
  readonly channel?: string
}

/** Why has it made no job? */
export interface TriggerQuestion {
  readonly trigger: string
}

export interface Explain {
  /** Why a job is not running, or how it came to its end, and why it was tried again. Throws InvalidOption. */
  (id: string): Promise<Explanation>
  /** Why an enqueue is a duplicate. Throws InvalidOption. */
  (question: UniqueQuestion): Promise<KeyExplanation>
  /** Why a trigger has made no job. Throws InvalidOption. */
  (question: TriggerQuestion): Promise<TriggerExplanation>
}

interface ExplainerOptions {
  readonly log: LogReader
  readonly feed: Feed
  readonly queries: Queries
  readonly clock: Clock
  readonly maxBodyBytes: number
  /** Of this process. */
  readonly runtime: string
  readonly limits: { get(queue: string): number | undefined }
}

/** Events at the end of a stream that are looked through for who did something. */
const LOOK = 500
const SKIPPED = 10
const KEY_KEYS = new Set(['unique', 'type', 'queue', 'channel'])
const UNIQUE_KEYS = new Set(['key', 'scope', 'payload'])
const TRIGGER_KEYS = new Set(['trigger'])

export class Explainer {
  readonly #options: ExplainerOptions

  constructor(options: ExplainerOptions) {
    this.#options = options
  }

  async explain(asked: unknown): Promise<Explanation | KeyExplanation | TriggerExplanation> {
    if (typeof asked === 'string') return this.#job(toName(asked, 'explain.id'))
    checkObject(asked, 'explain')
    if ('trigger' in asked) {
      checkKeys(asked, TRIGGER_KEYS, 'explain')
      return this.#trigger(toName(asked.trigger, 'explain.trigger'))
    }
    checkKeys(asked, KEY_KEYS, 'explain')
    return this.#key(asked as UniqueQuestion)
  }

  async #job(id: string): Promise<Explanation> {
    const { queries } = this.#options
    await queries.catchUp()
    try {
      const { state, events } = await queries.read(id)
      return explain(state, events, await this.#around(state))
    } catch (error) {
      if (error instanceof JobUnknown) return explainUnknown(id)
      if (!(error instanceof JobRemoved)) throw error
      return explainRemoved(id, error.outcome as Outcome, await this.#removal(id))
    }
  }

  /** The newest event that says so: a copied ledger may hold two. */
  async #removal(id: string): Promise<RecordedEvent | undefined> {
    for await (const page of this.#options.log.readStream(AUDIT_STREAM, { backwards: true })) {
      const found = page.map((event) => upcast(event)).find((event) => names(event, id))
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Of a job that was removed the refusal says by whom and why. */
  async withRemoval<A>(id: string, answer: Promise<A>): Promise<A> {
    try {
      return await answer
    } catch (error) {
      if (!(error instanceof JobRemoved) || error.jobId !== id) throw error
      const event = await this.#removal(id)
      throw event === undefined ? error : new JobRemoved(id, error.outcome, removalOf(event))
    }
  }

  async #around(job: JobState): Promise<Surroundings> {
    const { feed, clock, runtime, limits } = this.#options
    const { board, workers, queues } = feed
    const isWaiting = job.phase === 'waiting'
    return {
      ...{ board, workers, queues, now: clock.now() },
      dependencies: isWaiting ? await this.#dependencies(job) : new Map(),
      deeds: isWaiting ? await this.#deeds(job) : new Map(),
      limitOf: (queue, at) => (at === runtime ? limits.get(queue) : queues.limitOf(queue)),
      statusOf: (each) => this.#statusOf(each),
    }
  }

  #statusOf(job: JobState): JobStatusName {
    const { feed, clock } = this.#options
    return statusName(job, feed.board.graph.isBlocked(job.id), clock.now())
  }

  /** Those that have ended: the board has let go of them. */
  async #dependencies({ id }: JobState): Promise<Map<string, OpenDependency['state']>> {
    const { board } = this.#options.feed
    const states = new Map<string, OpenDependency['state']>()
    for (const edge of board.graph.openEdges(id)) {
      if (board.get(edge.id) === undefined) states.set(edge.id, await this.#stateOf(edge.id))
    }
    return states
  }

  async #stateOf(id: string): Promise<OpenDependency['state']> {
    const job = await this.#find(id)
    return typeof job === 'string' ? job : this.#statusOf(job)
  }

  async #find(id: string): Promise<JobState | 'removed' | 'unknown'> {
    try {
      return (await this.#options.queries.read(id)).state
    } catch (error) {
      if (error instanceof JobRemoved) return 'removed'
      if (error instanceof JobUnknown) return 'unknown'
      throw error
    }
  }

  /** Who has paused the job's queue, and those workers that might run it. */
  async #deeds({ queue }: JobState): Promise<Map<string, Deed>> {
    const { queues, workers } = this.#options.feed
    const deeds = new Map<string, Deed>()
    if (queues.isPaused(queue)) await this.#note(deeds, queueStream(queue), ['QueuePaused'])
    for (const { id, status } of workers.workers.values())
      if (status === 'paused') await this.#note(deeds, workerStream(id), ['WorkerPaused'])
    return deeds
  }

  async #note(deeds: Map<string, Deed>, stream: string, types: readonly string[]): Promise<void> {
    const deed = deedOf((await this.#latest(stream, types, 1))[0])
    if (deed !== undefined) deeds.set(stream, deed)
  }

  /** The last `most` events of these types, newest first. */
  async #latest(stream: string, types: readonly string[], most: number): Promise<RecordedEvent[]> {
    const found: RecordedEvent[] = []
    for await (const page of this.#options.log.readStream(stream, { backwards: true, limit: LOOK })) {
      for (const event of page) if (types.includes(event.type)) found.push(upcast(event))
      if (found.length >= most) break
    }
    return found.slice(0, most)
  }

  async #key({ unique, ...names }: UniqueQuestion): Promise<KeyExplanation> {
    const { queries, clock, maxBodyBytes } = this.#options
    checkKeys(unique, UNIQUE_KEYS, 'explain.unique')
    const { key, payload, scope = 'type' } = unique
    const within: Names = { ...withinOf(names), ledger: '' }
    if (typeof scope !== 'string' || !Object.hasOwn(within, scope))
      throw new InvalidOption('explain.unique.scope', `one of ${Object.keys(within).join(', ')}`, scope)
    const name = within[scope]
    if (name === undefined) throw new InvalidOption(`explain.${scope}`, `the ${scope} of the jobs`, name)
    const stored = (): string => storedText(encode(payload, 'explain.unique.payload', maxBodyBytes))
    const own = key === undefined ? ['payload', stored()] : ['key', toName(key, 'explain.unique.key')]
    const [claimed] = await this.#latest(uniqueStreamOf(identityOf(scope, name, own)), ['Claimed'], 1)
    await queries.catchUp()
    const holder = claimed === undefined ? 'unknown' : await this.#find((claimed.data as Claimed).jobId)
    const world = { now: clock.now(), statusOf: (job: JobState) => this.#statusOf(job) }
    return explainKey(claimed, typeof holder === 'string' ? undefined : holder, world)
  }

  async #trigger(id: string): Promise<TriggerExplanation> {
    const { queries, feed } = this.#options
    await queries.catchUp()
    const stream = triggerStream(id)
    const deeds = await this.#latest(stream, ['TriggerPaused', 'TriggerRemoved'], 1)
    const skipped = await this.#latest(stream, ['TriggerMissed'], SKIPPED)
    return explainTrigger(id, feed.triggers.get(id), [...deeds, ...skipped])
  }
}

type Names = Readonly<Record<'type' | 'queue' | 'channel' | 'ledger', string | undefined>>

function withinOf({ type, queue, channel }: Omit<UniqueQuestion, 'unique'>): Omit<Names, 'ledger'> {
  return {
    type: type === undefined ? undefined : toName(type, 'explain.type'),
    queue: queue === undefined ? undefined : toLabel(queue, 'explain.queue'),
    channel: channel === undefined ? undefined : toLabel(channel, 'explain.channel'),
  }
}
