import { InvalidOption } from '../../domain/errors.js'
import type { EnqueueCommand } from '../../domain/job/decide.js'
import type { Clock } from '../ports/clock.js'
import type { Ids } from '../ports/ids.js'
import type { JobDefinition } from '../work/definition.js'
import { toName, validate } from '../work/definition.js'
import { encode } from './codec.js'
import type { EnqueueOutcome } from './commands.js'
import * as commands from './commands.js'
import type { EnqueueOptions } from './enqueue-options.js'
import { toFacts } from './enqueue-options.js'
import type { Journal } from './journal.js'

/** One element of a batch. */
export interface EnqueueSpec {
  readonly job: JobDefinition
  readonly payload: unknown
  readonly options?: EnqueueOptions | undefined
}

const SPEC_KEYS = new Set(['job', 'payload', 'options'])

export interface Enqueued {
  readonly id: string
  readonly outcome: EnqueueOutcome
}

/** Turns what a caller says into the facts and the body of a job. All of a batch is checked before any of it is decided. */
export class Enqueuer {
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #ids: Ids
  readonly #maxBodyBytes: number
  readonly #codeVersion: string | undefined
  readonly #onSubmitted: (job: EnqueueCommand) => void

  constructor(options: {
    readonly journal: Journal
    readonly clock: Clock
    readonly ids: Ids
    readonly maxBodyBytes: number
    readonly codeVersion: string | undefined
    /** Told of each job in the tick in which it was submitted, before it is decided. */
    readonly onSubmitted: (job: EnqueueCommand) => void
  }) {
    this.#journal = options.journal
    this.#clock = options.clock
    this.#ids = options.ids
    this.#maxBodyBytes = options.maxBodyBytes
    this.#codeVersion = options.codeVersion
    this.#onSubmitted = options.onSubmitted
  }

  /** `path` names an element in errors: `enqueue`, or `enqueueMany[3]`. */
  async enqueue(specs: readonly EnqueueSpec[], path: (index: number) => string): Promise<Enqueued[]> {
    const now = this.#clock.now()
    const jobs: EnqueueCommand[] = []
    for (const [index, spec] of specs.entries()) {
      const checking = this.#check(spec, path(index))
      if (checking !== undefined) await checking
      jobs.push(this.#command(spec, now, path(index)))
    }
    refuseTwins(jobs, path)
    const submitted = this.#journal.submit(commands.enqueue(jobs))
    for (const job of mostUrgentFirst(jobs)) this.#onSubmitted(job)
    const outcomes = await submitted
    return jobs.map((job, index) => ({ id: job.id, outcome: outcomes[index] as EnqueueOutcome }))
  }

  /** A promise only where the schema needs one. */
  #check(spec: EnqueueSpec, path: string): Promise<void> | undefined {
    if (typeof spec !== 'object' || spec === null) {
      throw new InvalidOption(path, 'an object { job, payload, options }', spec)
    }
    for (const key in spec) {
      if (!SPEC_KEYS.has(key)) throw new InvalidOption(`${path}.${key}`, `one of ${[...SPEC_KEYS].join(', ')}`, key)
    }
    const { job, payload } = spec
    if (typeof job?.handle !== 'function') throw new InvalidOption(`${path}.job`, 'made by defineJob()', job)
    const checked = validate(job, payload, `${path}.payload`)
    return checked instanceof Promise ? checked.then(() => {}) : undefined
  }

  /** Stored is what the caller gave, not what the schema made of it: the schema is asked again before the run. */
  #command({ job, payload, options }: EnqueueSpec, now: number, path: string): EnqueueCommand {
    const id = options?.id === undefined ? this.#ids.uuid() : toName(options.id, `${path}.id`)
    const facts = toFacts(job, options, now, this.#codeVersion, path)
    return { id, facts, payload: encode(payload, `${path}.payload`, this.#maxBodyBytes) }
  }
}

/** Equals stay in the order in which they were given. */
function mostUrgentFirst(jobs: readonly EnqueueCommand[]): readonly EnqueueCommand[] {
  if (jobs.length < 2) return jobs
  return jobs.toSorted((a, b) => (a.facts.priority ?? 0) - (b.facts.priority ?? 0))
}

function refuseTwins(jobs: readonly EnqueueCommand[], path: (index: number) => string): void {
  if (jobs.length < 2) return
  const ids = new Set<string>()
  for (const [index, { id }] of jobs.entries()) {
    if (ids.has(id)) throw new InvalidOption(`${path(index)}.id`, 'another id than the elements before it have', id)
    ids.add(id)
  }
}
