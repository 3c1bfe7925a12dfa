import { JobledgerError } from '../../domain/errors.js'
import type { Json, RecordedEvent } from '../../domain/event.js'
import type { LeaseCommand } from '../../domain/job/decide.js'
import { TriggerUnknown } from '../../domain/rejection.js'
import type { FiredBy } from '../../domain/trigger/events.js'
import { triggerStream } from '../../domain/trigger/events.js'
import type { DebounceWindow, TriggerState } from '../../domain/trigger/evolve.js'
import { upcast } from '../../domain/upcast.js'
import type { EventStore } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { JobDefinition } from '../work/run/definition.js'
import { decode, encloseEvent } from '../write/codec.js'
import type { NewJob } from '../write/enqueue-command.js'
import type { Enqueuer } from '../write/enqueuer.js'
import type { Speaker } from '../write/speaker.js'
import type { NoJob } from './firing-command.js'
import { definitionOf } from './options.js'

/** Somebody, or time, wants a trigger to fire. */
export interface Ask {
  readonly by: FiredBy
  readonly occurrence: number
  readonly jobId: string
  readonly speaker: Speaker
  /** In place of the trigger's own. */
  readonly payload?: { readonly content: string | Uint8Array } | undefined
  /** What is handed on beside the payload. */
  readonly event?: Json | undefined
  /** Id of the event of the log that it is. */
  readonly source?: string | undefined
  readonly chain: readonly string[]
  readonly manual: boolean
  /** It stands for all requests of a window. */
  readonly debounced?: true
  /** A refusal of the job goes to whoever asks. */
  readonly tells: boolean
  /** Its job is under way from the start, in the name of this worker. */
  readonly lease?: Omit<LeaseCommand, 'now'>
}

export interface JobMakerOptions {
  readonly store: EventStore
  readonly enqueuer: Enqueuer
  readonly definitions: ReadonlyMap<string, JobDefinition>
  readonly maxBodyBytes: number
  readonly log: Logger
}

/** Makes the jobs of triggers: of what is stored of a trigger, and of what is asked of it. */
export class JobMaker {
  readonly #options: JobMakerOptions

  constructor(options: JobMakerOptions) {
    this.#options = options
  }

  /** What the requests of a window have brought along. */
  async collected(id: string, window: DebounceWindow): Promise<{ payload?: Ask['payload']; event?: Json }> {
    const { combine } = window
    if (combine === 'drop') return {}
    const contents: Json[] = []
    const options = { from: window.revision, bodies: true, ...(combine === 'first' && { limit: 1 }) }
    for await (const page of this.#options.store.readStream(triggerStream(id), options)) {
      for (const { type, body } of page) if (WINDOW_EVENTS.has(type)) contents.push((decode(body) ?? null) as Json)
    }
    if (window.by === 'event') return { event: combine === 'append' ? contents : (contents[0] as Json) }
    if (combine === 'append') return { payload: { content: JSON.stringify(contents) } }
    return contents[0] === null ? {} : { payload: { content: JSON.stringify(contents[0]) } }
  }

  /** The job, decided on by nobody yet. */
  async make(state: TriggerState, ask: Ask): Promise<{ readonly job: NewJob } | NoJob> {
    const { jobId, occurrence, payload: asked, event, chain, manual, debounced, speaker, tells, lease } = ask
    const { enqueuer, definitions, maxBodyBytes } = this.#options
    const { id, type } = state
    const path = `trigger ${id}`
    const content = asked?.content ?? (await this.payloadOf(state))
    const isClients = lease !== undefined
    const trigger = {
      ...{ id, occurrence },
      ...(event !== undefined && { event: true as const }),
      ...(isClients && { client: true as const }),
    }
    const made = {
      trigger,
      ...(debounced && { debounced }),
      ...(chain.length > 0 && { chain }),
    }
    // A client's word is its last, unless the trigger says otherwise.
    const attempts = isClients ? { maxAttempts: 1 } : undefined
    const options = { ...attempts, ...state.options, id: jobId, ...(manual && { manual }) }
    const value = content === undefined ? null : decode({ salt: NO_SALT, content })
    const job = definitions.get(type) ?? definitionOf(state)
    try {
      const prepared = await enqueuer.prepare({ job, payload: value, options }, made, speaker, path)
      if (prepared === undefined) return { reason: 'skipped' }
      if (event === undefined) return { job: prepared }
      const payload = encloseEvent(prepared.payload, event, `${path}.event`, maxBodyBytes)
      return { job: { ...prepared, payload, bare: prepared.payload } }
    } catch (error) {
      if (tells || !isRefusal(error)) throw error
      this.#options.log.warn({ err: error, triggerId: id, jobType: type }, 'trigger fires no job: it is refused')
      return { reason: 'refused', error: error.name }
    }
  }

  /** As it is stored; undefined: there is none. */
  async payloadOf({ id, payloadAt }: TriggerState): Promise<string | Uint8Array | undefined> {
    const { body } = await this.eventAt(id, payloadAt)
    return body !== undefined && 'content' in body ? body.content : undefined
  }

  /** Bodies included. Throws TriggerUnknown. */
  async eventAt(id: string, revision: number): Promise<RecordedEvent> {
    const options = { from: revision, limit: 1, bodies: true }
    for await (const [event] of this.#options.store.readStream(triggerStream(id), options))
      if (event !== undefined) return upcast(event)
    throw new TriggerUnknown(id)
  }
}

const NO_SALT = new Uint8Array(0)
const WINDOW_EVENTS: ReadonlySet<string> = new Set(['DebounceOpened', 'DebounceCollected'])

/** The job is refused; nothing is wrong with the store. */
const isRefusal = (error: unknown): error is JobledgerError =>
  error instanceof JobledgerError && error.family !== 'store' && error.family !== 'ledger'
