/** Firings that somebody asks for, in whatever process: by hand, by webhook, for a client, by a published event. */
import type { Duration } from '../../domain/duration.js'
import { JobledgerError } from '../../domain/errors.js'
import type { Json } from '../../domain/event.js'
import {
  DebounceFull,
  FiringMissed,
  TriggerKindMismatch,
  TriggerNotActive,
  TriggerUnknown,
} from '../../domain/rejection.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import { checkKeys, toFlag, toName } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import type { Ids } from '../ports/ids.js'
import type { Feed } from '../read/feed.js'
import type { Queries } from '../read/queries.js'
import type { JobLease, LeaseDesk } from '../work/desk/lease-desk.js'
import { toLeaseMs } from '../work/desk/lease-desk.js'
import type { JobDefinition } from '../work/run/definition.js'
import { validate } from '../work/run/definition.js'
import { encode } from '../write/codec.js'
import type { Enqueuer } from '../write/enqueuer.js'
import type { Speaker } from '../write/speaker.js'
import type { Firer } from './firer.js'
import type { Outcome } from './firing-command.js'
import { jobIdOf } from './job-ids.js'
import type { Ask } from './job-maker.js'
import { definitionOf } from './options.js'
import type { CheckedEvent, PublishedEvent, PublishOutcome } from './published.js'
import { toPublished } from './published.js'

export interface FireOptions<Payload = unknown> {
  /** In place of the trigger's own. */
  readonly payload?: Payload
  /** A person asks for it: the job goes to the lane of such jobs. Default true for `fire`, false for `receive`. */
  readonly manual?: boolean
}

export interface LaunchOptions {
  /** Registered by `workers.register`: who will report the end. */
  readonly workerId: string
  readonly payload?: unknown
  /** How long without a sign of life until the run is given up. Default 1 h. */
  readonly lease?: Duration
}

/** A firing has its job, or waits for the end of its window. */
export type Firing =
  | { readonly outcome: 'fired'; readonly jobId: string }
  | { readonly outcome: 'debounced'; readonly jobId?: undefined }

const FIRE_KEYS = new Set(['payload', 'manual'])
const RECEIVE_KEYS = new Set(['manual'])
const LAUNCH_KEYS = new Set(['workerId', 'payload', 'lease'])

export interface RequestsOptions {
  readonly firer: Firer
  readonly feed: Feed
  readonly queries: Queries
  readonly enqueuer: Enqueuer
  readonly desk: LeaseDesk
  readonly definitions: ReadonlyMap<string, JobDefinition>
  readonly clock: Clock
  readonly ids: Ids
  readonly maxBodyBytes: number
}

export class Requests {
  readonly #options: RequestsOptions

  constructor(options: RequestsOptions) {
    this.#options = options
  }

  async fire(id: string, options: FireOptions, speaker: Speaker): Promise<{ readonly jobId: string }> {
    checkKeys(options, FIRE_KEYS, 'triggers.fire')
    const { payload, manual = true } = options
    const isManual = toFlag(manual, 'triggers.fire.manual')
    const ask = { by: 'hand', manual: isManual, jobId: this.#options.ids.uuid(), speaker } as const
    const fired = await this.#ask(id, 'fire', payload, ask)
    return { jobId: fired.jobId as string }
  }

  async receive(id: string, payload: unknown, options: Pick<FireOptions, 'manual'>, speaker: Speaker): Promise<Firing> {
    checkKeys(options, RECEIVE_KEYS, 'triggers.receive')
    const manual = toFlag(options.manual ?? false, 'triggers.receive.manual')
    return this.#ask(id, 'receive', payload, { by: 'webhook', manual, jobId: this.#options.ids.uuid(), speaker })
  }

  async launch(id: string, options: LaunchOptions, speaker: Speaker): Promise<JobLease> {
    const { desk, ids } = this.#options
    checkKeys(options, LAUNCH_KEYS, 'triggers.launch')
    const workerId = toName(options.workerId, 'triggers.launch.workerId')
    const leaseMs = toLeaseMs(options.lease ?? '1h', 'triggers.launch.lease')
    await this.#find(toName(id, 'triggers.launch.id'), 'client')
    await desk.checkWorker(workerId)
    const [token, jobId] = [ids.uuid(), ids.uuid()]
    const lease = { token, workerId, leaseMs }
    await this.#ask(id, 'launch', options.payload, { by: 'client', manual: true, jobId, speaker, lease })
    return desk.handOver(jobId, token)
  }

  /** A trigger that changes meanwhile is asked again as it is then. */
  async #ask(
    id: string,
    verb: string,
    given: unknown,
    who: Pick<Ask, 'by' | 'manual' | 'jobId' | 'speaker' | 'lease'>,
  ): Promise<Firing> {
    const { clock, firer, enqueuer, maxBodyBytes } = this.#options
    const path = `triggers.${verb}`
    const name = toName(id, `${path}.id`)
    for (;;) {
      const state = await this.#find(name, who.by)
      const job = this.#options.definitions.get(state.type) ?? definitionOf(state)
      enqueuer.admit(job, who.speaker)
      const content = given === undefined ? undefined : encode(given, `${path}.payload`, maxBodyBytes)
      // What was posted will be one of a list.
      const isListed = who.by === 'webhook' && state.debounce?.combine === 'append'
      if (given !== undefined) await validate(job, isListed ? [given] : given, `${path}.payload`)
      const ask = {
        ...{ ...who, occurrence: clock.now(), tells: true, chain: who.speaker.chain ?? NO_TRIGGERS },
        ...(content !== undefined && { payload: { content } }),
      }
      const outcome = await firer.onRequest(state, ask)
      if (outcome.kind === 'missed') throw new FiringMissed(name, outcome.reason)
      if (outcome.kind === 'debounced') return { outcome: 'debounced' }
      if (outcome.kind === 'fired') return { outcome: 'fired', jobId: outcome.jobId }
    }
  }

  /** Throws TriggerUnknown, TriggerKindMismatch, TriggerNotActive. */
  async #find(id: string, by: Ask['by']): Promise<TriggerState> {
    const { queries, feed } = this.#options
    await queries.catchUp()
    const state = feed.triggers.get(id)
    if (state === undefined) throw new TriggerUnknown(id)
    if (by === 'hand') return state
    if (state.schedule.kind !== by) throw new TriggerKindMismatch(id, by, state.schedule.kind)
    if (state.status !== 'active') throw new TriggerNotActive(id, state.status)
    return state
  }

  /** Resolves once every trigger that it matches has answered, and that is durable. */
  async publish(given: PublishedEvent, speaker: Speaker): Promise<PublishOutcome[]> {
    const { feed, queries, maxBodyBytes } = this.#options
    const published = toPublished(given, maxBodyBytes)
    // A trigger that another process has just added hears of it.
    await queries.catchUp()
    const matching = feed.triggers.matching(published.event, published.channel)
    const told = await Promise.allSettled(matching.map((state) => this.#tell(state, published, speaker)))
    const failed = told.find((each) => each.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return told.flatMap((each) => (each.status === 'fulfilled' && each.value !== undefined ? [each.value] : []))
  }

  /** undefined: it is not there any more, or has become one that does not match. */
  async #tell(
    first: TriggerState,
    { event, channel, key }: CheckedEvent,
    speaker: Speaker,
  ): Promise<PublishOutcome | undefined> {
    const { clock, firer, feed, ids, queries } = this.#options
    const { id } = first
    const { chain = NO_TRIGGERS } = speaker
    for (let state: TriggerState | undefined = first; state !== undefined; state = feed.triggers.get(id)) {
      const occurrence = clock.now()
      const jobId = key === undefined ? ids.uuid() : jobIdOf(id, 0, `key ${key}`)
      const ask = {
        by: 'event',
        occurrence,
        jobId,
        speaker,
        event: event as object as Json,
        chain,
        manual: false,
        tells: false,
      } as const
      const outcome = chain.includes(id) ? await firer.breakLoop(state, ask) : await this.#unlessGone(state, ask)
      if (outcome === 'full') return { triggerId: id, outcome: 'missed', reason: 'full' }
      if (outcome !== undefined && outcome.kind !== 'stale') return shown(id, outcome)
      await queries.catchUp()
      if (!feed.triggers.matching(event, channel).some((other) => other.id === id)) return undefined
    }
    return undefined
  }

  /** `full`: nobody but the trigger is to blame that its window takes no more. */
  async #unlessGone(state: TriggerState, ask: Ask): Promise<Outcome | 'full' | undefined> {
    try {
      return await this.#options.firer.onRequest(state, ask)
    } catch (error) {
      if (error instanceof DebounceFull) return 'full'
      if (error instanceof JobledgerError && error.code === 'TRIGGER_UNKNOWN') return undefined
      throw error
    }
  }
}

const NO_TRIGGERS: readonly string[] = []

function shown(triggerId: string, outcome: Exclude<Outcome, { kind: 'stale' }>): PublishOutcome {
  if (outcome.kind === 'debounced') return { triggerId, outcome: 'debounced' }
  const { jobId } = outcome
  if (outcome.kind === 'fired') return { triggerId, outcome: 'fired', ...(jobId !== undefined && { jobId }) }
  return { triggerId, outcome: 'missed', reason: outcome.reason, ...(jobId !== undefined && { jobId }) }
}
