/** What a ledger offers on triggers: rules that make jobs by time, by event, by webhook, or for an outside client. */
import { TriggerUnknown } from '../domain/rejection.js'
import type { Definition } from '../domain/trigger/decide.js'
import { triggerStream } from '../domain/trigger/events.js'
import type { TriggerState } from '../domain/trigger/evolve.js'
import { occurrencesFrom } from '../domain/trigger/schedule.js'
import { checkKeys, checkObject, toCount, toName } from './checks.js'
import type { Engine } from './engine.js'
import type { JobSummary } from './read/queries.js'
import type { TriggerChanges } from './trigger/changes.js'
import { changed } from './trigger/changes.js'
import * as commands from './trigger/commands.js'
import type { TriggerInfo, TriggerReport } from './trigger/info.js'
import { infoOf, reportOf } from './trigger/info.js'
import type { TriggerFilter } from './trigger/listing.js'
import { triggerInfos } from './trigger/listing.js'
import type { TriggerOptions, TriggerSetting, TriggerTimes } from './trigger/options.js'
import { definitionOf, previewOf, toDefinition } from './trigger/options.js'
import type { FireOptions, Firing, LaunchOptions } from './trigger/requests.js'
import type { JobLease } from './work/desk/lease-desk.js'
import type { JobDefinition } from './work/run/definition.js'
import { reveal, samePayload } from './write/codec.js'
import type { Command, StreamState } from './write/command.js'
import type { Speaker } from './write/speaker.js'

/** What `add` takes. */
export interface NewTrigger<Payload = unknown> extends TriggerOptions<Payload> {
  /** Your own id (1 to 200 characters): the same definition again says nothing, another one under this id takes its place. */
  readonly id?: string
}

export interface AddedTrigger {
  readonly id: string
  /** `unchanged`: it was there with this very definition, or was, and is done. */
  readonly outcome: 'created' | 'updated' | 'unchanged'
}

const PAUSE_KEYS = new Set(['reason'])

export class Triggers {
  readonly #engine: () => Engine
  readonly #speaker: () => Speaker

  constructor(engine: () => Engine, speaker: () => Speaker) {
    this.#engine = engine
    this.#speaker = speaker
  }

  /**
   * Adds a trigger. With an id of your own it can be said again at each start of a service: what has changed is updated, and
   * one that was removed is there again. Throws InvalidOption, InvalidPayload, UnknownType, RoleRequired.
   */
  async add<Payload>(trigger: NewTrigger<Payload>): Promise<AddedTrigger> {
    const { ports, enqueuer } = this.#engine()
    checkObject(trigger, 'triggers.add')
    const { id, ...given } = trigger
    const speaker = this.#speaker()
    const triggerId = id === undefined ? ports.ids.uuid() : toName(id, 'triggers.add.id')
    const definition = await toDefinition(given as TriggerOptions, this.#setting, 'triggers.add')
    enqueuer.admit(given.job as JobDefinition, speaker)
    return { id: triggerId, outcome: await this.#add(triggerId, definition, speaker) }
  }

  get #setting(): TriggerSetting {
    const { ports, settings } = this.#engine()
    const { maxBodyBytes, queues } = settings
    return { now: ports.clock.now(), maxBodyBytes, queues }
  }

  async #add(id: string, definition: Definition, { metadata }: Speaker): Promise<AddedTrigger['outcome']> {
    const { journal } = this.#engine()
    for (;;) {
      // Also of one that was removed.
      const state = await this.#stored(id)
      const same = state !== undefined && samePayload(await this.#payload(state), definition.payload)
      const compared = { payloadAt: state?.payloadAt, same }
      const outcome = await journal.submit(this.#tidied(id, commands.add(id, definition, compared)), metadata)
      if (outcome !== undefined) return outcome
    }
  }

  /** Throws TriggerUnknown. */
  async get(id: string): Promise<TriggerInfo & { readonly payload?: unknown }> {
    const state = await this.#find(id, 'triggers.get.id')
    const content = await this.#payload(state)
    const payload = content === undefined ? undefined : reveal({ content, salt: NO_SALT })
    return { ...infoOf(state), ...(payload !== undefined && { payload }) }
  }

  /** In the order in which they were added. Throws InvalidOption. */
  async list(filter: TriggerFilter = {}): Promise<TriggerInfo[]> {
    const { queries, feed } = this.#engine()
    const infos = triggerInfos(filter)
    await queries.catchUp()
    return infos(feed.triggers)
  }

  /**
   * Changes what is given and leaves the rest; null takes an option away, and another `kind` those that belong to the old one.
   * The old instant does not fire once `kind`, `when` or `timezone` have changed; jobs that are queued stay. Throws TriggerUnknown, InvalidOption, InvalidPayload, UnknownType, RoleRequired.
   */
  async update(id: string, changes: TriggerChanges): Promise<TriggerInfo> {
    const { journal, enqueuer, types } = this.#engine()
    const speaker = this.#speaker()
    checkObject(changes, 'triggers.update')
    for (;;) {
      const state = await this.#find(id, 'triggers.update.id')
      const content = await this.#payload(state)
      const job = changes.job ?? types.definitions.get(state.type) ?? definitionOf(state)
      const definition = await changed(state, content, { ...changes, job }, this.#setting)
      enqueuer.admit(job as JobDefinition, speaker)
      if (await journal.submit(this.#tidied(id, commands.update(id, definition, state)), speaker.metadata)) {
        return infoOf(await this.#find(id, 'triggers.update.id'))
      }
    }
  }

  /** It fires only by hand until it is resumed; what falls into that time is not made up for. Throws TriggerUnknown, InvalidOption. */
  async pause(id: string, options: { readonly reason?: string } = {}): Promise<void> {
    const { journal } = this.#engine()
    const { metadata } = this.#speaker()
    checkKeys(options, PAUSE_KEYS, 'triggers.pause')
    const { reason = metadata?.reason } = options
    const why = reason === undefined ? undefined : toName(reason, 'triggers.pause.reason')
    return journal.submit(commands.pause(toName(id, 'triggers.pause.id'), why), metadata)
  }

  /** Throws TriggerUnknown. */
  async resume(id: string): Promise<void> {
    const { journal } = this.#engine()
    return journal.submit(commands.resume(toName(id, 'triggers.resume.id')), this.#speaker().metadata)
  }

  /** It fires no more, and its payload is erased; jobs that are queued stay. Throws TriggerUnknown. */
  async remove(id: string): Promise<void> {
    const { journal } = this.#engine()
    const name = toName(id, 'triggers.remove.id')
    const command = commands.remove(name, { by: 'operator' })
    return journal.submit(this.#tidied(name, command), this.#speaker().metadata)
  }

  /**
   * Makes its job now, whatever its kind and also while it is paused; when it fires next by itself stays as it is. Throws
   * TriggerUnknown, InvalidOption, InvalidPayload, RoleRequired, RateLimited, FiringMissed.
   */
  async fire<Payload>(id: string, options: FireOptions<Payload> = {}): Promise<{ readonly jobId: string }> {
    return this.#engine().requests.fire(id, options, this.#speaker())
  }

  /**
   * What was posted to a webhook: the payload of its job. Throws TriggerUnknown, TriggerKindMismatch, TriggerNotActive,
   * InvalidPayload, DebounceFull, RateLimited, FiringMissed.
   */
  async receive(id: string, payload?: unknown, options: Pick<FireOptions, 'manual'> = {}): Promise<Firing> {
    return this.#engine().requests.receive(id, payload, options, this.#speaker())
  }

  /**
   * Makes a job that is under way from the start: its client ends it with `ledger.finish(token)` or `ledger.fail(token)`. It has
   * one attempt, unless the trigger's options say otherwise; when its lease is lost it has failed.
   * Throws TriggerUnknown, TriggerKindMismatch, TriggerNotActive, WorkerUnknown, WorkerGone, InvalidOption, InvalidPayload,
   * RateLimited, FiringMissed.
   */
  async launch(id: string, options: LaunchOptions): Promise<JobLease> {
    return this.#engine().requests.launch(id, options, this.#speaker())
  }

  /**
   * When it fires next, at most `count` (1 to 1,000, default 5) instants (ms); none while it is paused. Throws TriggerUnknown,
   * InvalidOption.
   */
  async next(id: string, count = 5): Promise<number[]> {
    const most = toCount(count, 'triggers.next.count', 1, 1_000)
    const { schedule, nextAt, status } = await this.#find(id, 'triggers.next.id')
    return status === 'active' ? occurrencesFrom(schedule, nextAt, most) : []
  }

  /** As `next`, of one that is not added: the slot of a spread kind follows from channel, type and payload. Throws InvalidOption. */
  preview(times: TriggerTimes & Partial<Pick<TriggerOptions, 'job' | 'payload' | 'options'>>, count = 5): number[] {
    return previewOf(times, this.#setting, toCount(count, 'triggers.preview.count', 1, 1_000))
  }

  /** Its jobs, newest first: at most `limit` (1 to 1,000, default 50). Also of one that was removed. Throws InvalidOption. */
  async jobs(id: string, limit = 50): Promise<readonly JobSummary[]> {
    const trigger = toName(id, 'triggers.jobs.id')
    const { jobs } = await this.#engine().queries.list({
      trigger,
      limit: toCount(limit, 'triggers.jobs.limit', 1, 1_000),
    })
    return jobs
  }

  /** What it and its jobs have come to. Throws TriggerUnknown. */
  async state(id: string): Promise<TriggerReport> {
    const state = await this.#find(id, 'triggers.state.id')
    return reportOf(state, this.#engine().feed.triggers.record(state.id))
  }

  /** Throws TriggerUnknown. */
  async #find(id: string, option: string): Promise<TriggerState> {
    const { queries, feed } = this.#engine()
    const name = toName(id, option)
    await queries.catchUp()
    const state = feed.triggers.get(name)
    if (state === undefined) throw new TriggerUnknown(name)
    return state
  }

  /** Also of one that was removed; undefined: there never was one. */
  async #stored(id: string): Promise<TriggerState | undefined> {
    const { queries, feed, wholeLog } = this.#engine()
    await queries.catchUp()
    let state: StreamState | undefined = feed.triggers.get(id)
    if (state !== undefined) return state as TriggerState
    for await (const page of wholeLog.readStream(triggerStream(id)))
      for (const event of page) state = feed.evolve(state, event)
    return state as TriggerState | undefined
  }

  #tidied<A>(id: string, command: Command<A>): Command<A> {
    return commands.tidying(id, command, this.#engine().ports.store.capabilities)
  }

  /** As it is stored. */
  #payload(state: TriggerState): Promise<Content> {
    return this.#engine().firer.payloadOf(state)
  }
}

type Content = string | Uint8Array | undefined

const NO_SALT = new Uint8Array(0)
