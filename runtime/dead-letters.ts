/** Jobs that have used up their attempts: they stay as `failed` until somebody decides what becomes of them. */
import { InvalidOption, JobledgerError } from '../domain/errors.js'
import type { JobState } from '../domain/job/evolve.js'
import { JobNotFailed } from '../domain/rejection.js'
import { checkKeys, toName } from './checks.js'
import type { Engine } from './engine.js'
import type { ListFilter } from './read/listing.js'
import type { JobPage } from './read/queries.js'
import type { Removed } from './upkeep/removal.js'
import type { Speaker } from './write/speaker.js'

/** Which of them; left out: all. */
export type DeadLetterFilter = Omit<ListFilter, 'state'>
export type DeadLetterChoice = Omit<DeadLetterFilter, 'limit' | 'cursor'>

/** What became of a retry of many. */
export interface Retried {
  readonly retried: number
  /** Those that were not, and why. */
  readonly refused: readonly { readonly id: string; readonly error: JobledgerError }[]
}

export class DeadLetters {
  readonly #engine: () => Engine
  readonly #speaker: () => Speaker

  constructor(engine: () => Engine, speaker: () => Speaker) {
    this.#engine = engine
    this.#speaker = speaker
  }

  /** Newest first. Throws InvalidOption. */
  async list(filter: DeadLetterFilter = {}): Promise<JobPage> {
    checkKeys(filter, LIST_KEYS, 'deadLetters.list')
    return this.#engine().queries.list({ ...filter, state: 'failed' })
  }

  /** A new round for these ids, or for all that match. Throws InvalidOption. */
  async retry(choice: readonly string[] | DeadLetterChoice = {}): Promise<Retried> {
    const { retrier, queries } = this.#engine()
    const { metadata } = this.#speaker()
    const refused: { id: string; error: JobledgerError }[] = []
    let retried = 0
    for (const id of await this.#ids(choice, 'deadLetters.retry')) {
      try {
        const { outcome, phase } = (await queries.read(id)).state
        if (outcome !== 'failed') throw new JobNotFailed(id, outcome ?? (phase === 'leased' ? 'running' : 'waiting'))
        await retrier.retry(id, metadata)
        retried += 1
      } catch (error) {
        if (!(error instanceof JobledgerError && error.family === 'job')) throw error
        refused.push({ id, error })
      }
    }
    return { retried, refused }
  }

  /**
   * Takes these, or all that match, out of the log, except where a job that has not ended needs them. Ids of what has left
   * the log already are passed over.
   */
  async clean(choice: readonly string[] | DeadLetterChoice = {}): Promise<Removed> {
    const { removal } = this.#engine()
    const { metadata } = this.#speaker()
    const ids = await this.#ids(choice, 'deadLetters.clean')
    let removed = 0
    let kept = 0
    for (let from = 0; from < ids.length; from += CHUNK) {
      const states = await Promise.all(ids.slice(from, from + CHUNK).map((id) => this.#state(id)))
      const there = states.filter((state) => state !== undefined)
      const failed = there.filter((state) => state.outcome === 'failed')
      const done = await removal.removeAll(failed, undefined, metadata)
      removed += done.removed
      kept += there.length - done.removed
    }
    return { removed, kept }
  }

  async #state(id: string): Promise<JobState | undefined> {
    try {
      return (await this.#engine().queries.read(id)).state
    } catch (error) {
      if (error instanceof JobledgerError && error.family === 'job') return undefined
      throw error
    }
  }

  /** Gathered before anything is done to them: a job that is sent round again leaves the list. */
  async #ids(choice: readonly string[] | DeadLetterChoice, option: string): Promise<string[]> {
    if (Array.isArray(choice)) return choice.map((id, index) => toName(id, `${option}[${index}]`))
    if (typeof choice !== 'object' || choice === null) throw new InvalidOption(option, 'ids, or a filter', choice)
    checkKeys(choice, CHOICE_KEYS, option)
    // A filter that lost its value on the way would mean all of them.
    for (const [key, value] of Object.entries(choice)) {
      if (value === undefined) throw new InvalidOption(`${option}.${key}`, 'a text, or left out', value)
    }
    const ids: string[] = []
    let cursor: string | undefined
    do {
      const page = await this.list({ ...choice, limit: 1_000, ...(cursor !== undefined && { cursor }) })
      for (const job of page.jobs) ids.push(job.id)
      cursor = page.cursor
    } while (cursor !== undefined)
    return ids
  }
}

const CHOICE_KEYS = new Set(['type', 'queue', 'channel'])
const LIST_KEYS = new Set([...CHOICE_KEYS, 'limit', 'cursor'])

/** Jobs looked at together. */
const CHUNK = 200
