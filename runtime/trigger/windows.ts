/** Requests that wait for more to come: what goes into a window, and what becomes of it when its time is up. */
import { InvalidPayload } from '../../domain/errors.js'
import { DebounceFull } from '../../domain/rejection.js'
import type { DebounceWindow, TriggerState } from '../../domain/trigger/evolve.js'
import type { EventStore } from '../ports/event-store.js'
import type { Feed } from '../read/feed.js'
import type { Journal } from '../write/journal.js'
import { speakerOf } from '../write/speaker.js'
import { isStill } from './commands.js'
import type { Fired, Outcome, Planner } from './firing-command.js'
import * as commands from './firing-command.js'
import { jobIdOf } from './job-ids.js'
import type { Ask, JobMaker } from './job-maker.js'

export interface WindowsOptions {
  readonly store: EventStore
  readonly journal: Journal
  readonly feed: Feed
  readonly maxBodyBytes: number
  readonly maker: JobMaker
  fire(state: TriggerState, ask: Ask, plan: Planner): Promise<Fired>
}

const NOBODY = speakerOf(undefined, undefined)
const NO_TRIGGERS: readonly string[] = []

export class Windows {
  readonly #options: WindowsOptions
  /** Those that are being closed, by trigger. */
  readonly #closing = new Map<string, Promise<void>>()

  constructor(options: WindowsOptions) {
    this.#options = options
  }

  /** One more request. Throws DebounceFull, InvalidPayload. */
  async collect({ id }: TriggerState, ask: Ask, plan: Planner): Promise<Outcome> {
    const { journal, maxBodyBytes } = this.#options
    const { event, payload, manual, chain, speaker } = ask
    const content = event === undefined ? payload?.content : JSON.stringify(event)
    if (typeof content === 'object')
      throw new InvalidPayload(`trigger ${id}`, 'JSON, no bytes: it has a debounce', content)
    const bytes = sizeOf(content)
    const isTooMuch = ({ window, debounce }: TriggerState): DebounceFull | undefined => {
      const size = (window?.bytes ?? 0) + (window?.count ?? 0) + bytes + BRACKETS
      return (window ?? debounce)?.combine === 'append' && size > maxBodyBytes
        ? new DebounceFull(id, maxBodyBytes, size)
        : undefined
    }
    const request = { content, bytes, ...(manual && { manual }) }
    const command = commands.collect(id, plan, request, chain, isTooMuch)
    for (;;) {
      const outcome = await journal.submit(command, speaker.metadata)
      if (outcome === 'collected') return { kind: 'debounced' }
      if (outcome === 'stale') return { kind: 'stale' }
      // Its time is up: who comes now is the first of the next one.
      await this.close(id)
    }
  }

  /** One at a time, whoever asks for it. */
  close(id: string): Promise<void> {
    const closing = this.#closing.get(id) ?? this.#close(id).finally(() => this.#closing.delete(id))
    this.#closing.set(id, closing)
    return closing
  }

  async #close(id: string): Promise<void> {
    const { feed, store } = this.#options
    let tried = -1
    for (;;) {
      await feed.reached(await store.head())
      const state = feed.triggers.get(id)
      // Unchanged since it was tried: the clock was set back, and it is not time yet.
      if (state?.window === undefined || state.status !== 'active' || state.revision === tried) return
      tried = state.revision
      // Else somebody has added to it meanwhile, by a clock that is behind.
      if ((await this.#closeAs({ ...state, window: state.window })).kind !== 'stale') return
    }
  }

  async #closeAs(state: TriggerState & { readonly window: DebounceWindow }): Promise<Fired> {
    const { id, window } = state
    const { until, by, manual = false, chain = NO_TRIGGERS, count, combine } = window
    const collected = await this.#options.maker.collected(id, window)
    const jobId = jobIdOf(id, until, `window ${window.revision}`)
    const base = { by, occurrence: until, jobId, speaker: NOBODY, tells: false }
    const ask = { ...base, ...collected, chain, manual, debounced: true as const }
    const plan: Planner = (present, now) => {
      const isSame = present.window?.revision === window.revision && isStill(present, state)
      const isWhole = combine !== 'append' || present.window?.count === count
      if (!isSame || !isWhole || until > now) return undefined
      return { occurrence: until, by, collected: present.window?.count ?? count }
    }
    return this.#options.fire(state, ask, plan)
  }
}

/** Of a list, in bytes. */
const BRACKETS = 2

const sizeOf = (content: string | Uint8Array | undefined): number =>
  typeof content === 'string' ? new TextEncoder().encode(content).length : (content?.length ?? 0)
