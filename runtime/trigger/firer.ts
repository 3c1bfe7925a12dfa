import type { Json } from '../../domain/event.js'
import { judgeDue } from '../../domain/trigger/decide.js'
import type { FiredBy } from '../../domain/trigger/events.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import type { Owed } from '../../projections/trigger-registry.js'
import { StreamRemoved } from '../errors.js'
import type { EventStore } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { Feed } from '../read/feed.js'
import type { JobDefinition } from '../work/run/definition.js'
import type { NewJob } from '../write/enqueue-command.js'
import { enqueue, NOTHING_FOUND } from '../write/enqueue-command.js'
import type { Enqueuer } from '../write/enqueuer.js'
import type { Journal } from '../write/journal.js'
import { speakerOf } from '../write/speaker.js'
import { withHolders } from '../write/unique.js'
import { isStill, remove, tidying } from './commands.js'
import type { Fired, NoJob, Outcome, Plan, Planner, Refused } from './firing-command.js'
import * as commands from './firing-command.js'
import { jobIdOf } from './job-ids.js'
import type { Ask } from './job-maker.js'
import { JobMaker } from './job-maker.js'
import type { MissedCounts } from './missed-counts.js'
import { Windows } from './windows.js'

export interface FirerOptions {
  readonly store: EventStore
  readonly journal: Journal
  readonly feed: Feed
  readonly enqueuer: Enqueuer
  readonly definitions: ReadonlyMap<string, JobDefinition>
  readonly maxBodyBytes: number
  readonly missed: MissedCounts
  readonly log: Logger
}

/** What a firing is to make. */
type Made = { readonly job: NewJob } | NoJob

const NOBODY = speakerOf(undefined, undefined)
const NO_TRIGGERS: readonly string[] = []

/** Turns what a trigger is asked for into a job, once. Who else is doing the same meanwhile is found out by the append. */
export class Firer {
  readonly #options: FirerOptions
  readonly #maker: JobMaker
  readonly #windows: Windows
  /** Triggers whose loops were told of. */
  readonly #looping = new Set<string>()

  constructor(options: FirerOptions) {
    this.#options = options
    this.#maker = new JobMaker(options)
    const fire = (state: TriggerState, ask: Ask, plan: Planner): Promise<Fired> => this.#fire(state, ask, plan)
    this.#windows = new Windows({ ...options, maker: this.#maker, fire })
  }

  /** Of its jobs, as it is stored; undefined: there is none. */
  payloadOf(state: TriggerState): Promise<string | Uint8Array | undefined> {
    return this.#maker.payloadOf(state)
  }

  /** The instant recorded as its next has come. */
  async onTime(state: TriggerState & { readonly nextAt: number }): Promise<void> {
    const { id, nextAt: occurrence } = state
    const others = await this.#options.missed.after(state)
    if (others === 'stopped') return
    const plan: Planner = (present, now) => {
      if (present.nextAt !== occurrence || occurrence > now || !isStill(present, state)) return undefined
      const { fires, nextAt, missed } = judgeDue({ ...present, nextAt: occurrence }, now, others)
      return { occurrence, by: 'time', nextAt, missed, ...(!fires && { isMissed: true }) }
    }
    await this.#carryOut(state, { ...this.#unasked(id, 'time', occurrence), chain: NO_TRIGGERS }, plan)
  }

  /** An event of this log has matched it. */
  async onOwed(state: TriggerState, { source, at, event, chain }: Owed): Promise<void> {
    const { id } = state
    if (chain.includes(id)) {
      await this.breakLoop(state, { occurrence: at, chain, source })
      return
    }
    const metadata = event.id === undefined ? undefined : { $causationId: event.id }
    const ask = {
      ...this.#unasked(id, 'event', at, source),
      event: event as object as Json,
      source,
      chain,
      speaker: { ...NOBODY, metadata },
    }
    const { triggers } = this.#options.feed
    await this.#carryOut(state, ask, (present, _now, since) =>
      commands.isAnswered(triggers, id, source, since) ? undefined : asked(present, state, ask),
    )
  }

  /** Stale: the trigger is not as it was thought to be. Throws what refuses the job, if whoever asks is to be told. */
  async onRequest(state: TriggerState, ask: Ask): Promise<Outcome> {
    return this.#carryOut(state, ask, (present) => asked(present, state, ask))
  }

  /** What asks for it has come about by the trigger itself. */
  async breakLoop({ id }: TriggerState, ask: Pick<Ask, 'occurrence' | 'chain' | 'source'>): Promise<Fired> {
    const { log } = this.#options
    const level = this.#looping.has(id) ? 'debug' : 'warn'
    this.#looping.add(id)
    log[level]({ triggerId: id, chain: ask.chain }, 'trigger not fired: it would be for what it has set off itself')
    await this.#options.journal.submit(commands.breakLoop(id, ask, this.#options.feed.triggers))
    return { kind: 'missed', reason: 'loop' }
  }

  #unasked(id: string, by: FiredBy, occurrence: number, what?: string): Omit<Ask, 'chain'> {
    return { by, occurrence, jobId: jobIdOf(id, occurrence, what), speaker: NOBODY, manual: false, tells: false }
  }

  #carryOut(state: TriggerState, ask: Ask, plan: Planner): Promise<Outcome> {
    const waits = state.debounce !== undefined && ask.by !== 'hand'
    return waits ? this.#windows.collect(state, ask, plan) : this.#fire(state, ask, plan)
  }

  async #fire(state: TriggerState, ask: Ask, plan: Planner): Promise<Fired> {
    const making = await this.#maker.make(state, ask)
    return this.#submit(state.id, plan, making, ask)
  }

  /** A window has come to its end. */
  async onWindowEnd({ id }: TriggerState): Promise<void> {
    await this.#windows.close(id)
  }

  async #submit(id: string, plan: Planner, making: Made, ask: Ask): Promise<Fired> {
    const { journal } = this.#options
    try {
      const fired = await this.#submitted(id, plan, making, ask)
      if (fired.kind === 'refused') throw fired.error
      return fired
    } catch (error) {
      if (!(error instanceof StreamRemoved)) throw error
      // There was a job of this very occurrence, and it has been taken out of the log.
      return (await journal.submit(this.#firing(id, plan, { reason: 'duplicate' }, false))) as Fired
    }
  }

  async #submitted(id: string, plan: Planner, making: Made, ask: Ask): Promise<Fired | Refused> {
    const { tells, speaker } = ask
    const { journal } = this.#options
    const { metadata } = speaker
    if (!('job' in making)) return journal.submit(this.#firing(id, plan, making, tells), metadata)
    const { job } = making
    return withHolders((holders) => {
      const together = { job, lease: ask.lease, enqueue: enqueue([job], { ...NOTHING_FOUND, holders }) }
      return journal.submit(this.#firing(id, plan, together, tells), metadata)
    })
  }

  #firing(...given: Parameters<typeof commands.fire>): ReturnType<typeof commands.fire> {
    return tidying(given[0], commands.fire(...given), this.#options.store.capabilities)
  }

  /** Its job has said that it makes no sense. */
  async removeBad(state: TriggerState, jobId: string): Promise<void> {
    this.#options.log.warn({ triggerId: state.id, jobId }, 'trigger removed: its job says that it makes no sense')
    const { journal, store } = this.#options
    const command = remove(state.id, { by: 'bad-trigger', jobId }, state)
    await journal.submit(tidying(state.id, command, store.capabilities))
  }
}

const asked = (present: TriggerState, state: TriggerState, { by, occurrence, source }: Ask): Plan | undefined =>
  isStill(present, state, by === 'hand') ? { occurrence, by, source } : undefined
