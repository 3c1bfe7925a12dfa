import type { JobsRemoved } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { rateStream } from '../../domain/claim/events.js'
import { InvalidOption } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Queued } from '../../domain/job/events.js'
import type { Outcome } from '../../domain/job/evolve.js'
import { DependencyUnknown, RateLimited } from '../../domain/rejection.js'
import { checkKeys, toName } from '../checks.js'
import { RoleRequired, StreamRemoved, UnknownType } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { TransactionalAppend } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { TypeOverride } from '../work/pool.js'
import type { FullSettings, JobDefinition } from '../work/run/definition.js'
import { checkDefinition, validate } from '../work/run/definition.js'
import type { Candidate } from './before.js'
import { unwanted, without, withSkipped } from './before.js'
import { encode } from './codec.js'
import type { Command } from './command.js'
import type { EnqueueOptions, JobType } from './contract.js'
import type { Steps } from './drive.js'
import { drive } from './drive.js'
import type { EnqueueAnswer, Enqueued, NewJob } from './enqueue-command.js'
import { enqueue } from './enqueue-command.js'
import type { EnqueueSetting } from './enqueue-options.js'
import { toFacts, toReplacement, toUnique } from './enqueue-options.js'
import type { Journal } from './journal.js'
import { toConcurrency } from './limits.js'
import type { Rate } from './rate.js'
import type { Speaker } from './speaker.js'
import type { Holder } from './unique.js'
import { claimName, HolderUnseen, storedText, uniqueStreamOf } from './unique.js'

/** One element of a batch. */
export interface EnqueueSpec {
  readonly job: JobType
  readonly payload: unknown
  readonly options?: EnqueueOptions | undefined
}

type CheckedSpec = EnqueueSpec & { readonly job: JobDefinition }

const SPEC_KEYS = new Set(['job', 'payload', 'options'])

const NO_OPTIONS: EnqueueOptions = Object.freeze({})

export interface EnqueuerOptions {
  readonly journal: Journal
  readonly clock: Clock
  readonly ids: Ids
  readonly maxBodyBytes: number
  readonly codeVersion: string | undefined
  readonly queues: ReadonlyMap<string, FullSettings>
  /** What this process says of types. */
  readonly overrides: ReadonlyMap<string, TypeOverride>
  /** The types that this ledger knows. */
  readonly definitions: ReadonlyMap<string, JobDefinition>
  /** Others are refused. */
  readonly strict: boolean
  /** Who may not enqueue a type is told that there is none. */
  readonly conceal: boolean
  /** How those of these jobs ended that were removed. */
  removed(ids: readonly string[]): Promise<ReadonlyMap<string, Outcome>>
  /** Says of a stream why its name is burnt, and does not fail. */
  burnt(stream: string): Promise<StreamRemoved>
  /** Told of each job in the tick in which it was submitted, before it is decided. */
  onSubmitted(job: NewJob): void
}

/** Names an element in errors: `enqueue`, or `enqueueMany[3]`. */
type Path = (index: number) => string

/** Turns what a caller says into the facts and the body of a job. All of a batch is checked before any of it is decided. */
export class Enqueuer {
  readonly #options: EnqueuerOptions

  constructor(options: EnqueuerOptions) {
    this.#options = options
  }

  async enqueue(specs: readonly EnqueueSpec[], speaker: Speaker, path: Path): Promise<readonly Enqueued[]> {
    const payloads: unknown[] = []
    for (const [index, spec] of specs.entries()) {
      const checked = this.#check(spec, speaker, path(index))
      payloads.push(checked instanceof Promise ? await checked : checked)
    }
    const jobs = this.#commands(specs, speaker, path)
    if (!specs.some(({ job }) => this.#beforeOf(job as JobDefinition))) return this.#submitted(jobs, speaker)
    const skipped = await drive(unwanted(this.#candidates(specs, jobs, payloads, path), false))
    const kept = without(jobs, skipped)
    return withSkipped(jobs, skipped, kept.length === 0 ? [] : await this.#submitted(kept, speaker))
  }

  /** Whether this speaker may have jobs of this type. Throws UnknownType, RoleRequired. */
  admit(job: JobDefinition, speaker: Speaker): void {
    this.#admit(job, speaker)
  }

  /**
   * A job that is decided on together with more than itself; undefined: the `before` of its type wants none. `made` are facts
   * beside those of an enqueue. Throws EnqueueRefused, InvalidOption, InvalidPayload.
   */
  async prepare(
    spec: EnqueueSpec,
    made: Pick<Queued, 'trigger' | 'debounced' | 'chain'>,
    { origin, chain }: Speaker,
    path: string,
  ): Promise<NewJob | undefined> {
    const { clock, codeVersion, queues } = this.#options
    const setting = { now: clock.now(), codeVersion, queues, origin, chain }
    const command = this.#command(spec as CheckedSpec, setting, path)
    const job = { ...command, facts: { ...command.facts, ...made } }
    const candidates = this.#candidates([spec], [job], [spec.payload], () => path)
    const skipped = await drive(unwanted(candidates, false))
    return skipped.size === 0 ? job : undefined
  }

  async #submitted(jobs: readonly NewJob[], speaker: Speaker): Promise<readonly Enqueued[]> {
    try {
      return await this.#submit(jobs, speaker)
    } catch (error) {
      throw error instanceof StreamRemoved ? await this.#options.burnt(error.stream) : error
    }
  }

  #submit(jobs: readonly NewJob[], speaker: Speaker): readonly Enqueued[] | Promise<readonly Enqueued[]> {
    const { journal, onSubmitted, removed } = this.#options
    let first = true
    const submit = <A>(command: Command<A>): Promise<A> => {
      const submitted = journal.submit(command, speaker.metadata)
      if (first) for (const job of mostUrgentFirst(jobs)) onSubmitted(job)
      first = false
      return submitted
    }
    return isPlain(jobs) ? (submit(enqueue(jobs)) as Promise<Enqueued[]>) : drive(findingOut(jobs, submit, removed))
  }

  /** In the caller's own transaction: as synchronous as that is. A schema must be synchronous too, and so must `before`. */
  enqueueWithin(
    transaction: TransactionalAppend,
    specs: readonly EnqueueSpec[],
    speaker: Speaker,
    path: Path,
  ): readonly Enqueued[] | Promise<readonly Enqueued[]> {
    const payloads = specs.map((spec, index) => {
      const checked = this.#check(spec, speaker, path(index))
      if (!(checked instanceof Promise)) return checked
      checked.catch(() => {})
      throw new InvalidOption(`${path(index)}.job`, 'of a type whose schema is synchronous', spec.job.type)
    })
    const jobs = this.#commands(specs, speaker, path)
    const skipped = drive(unwanted(this.#candidates(specs, jobs, payloads, path), true)) as ReadonlySet<string>
    const kept = without(jobs, skipped)
    if (kept.length === 0) return withSkipped(jobs, skipped, [])
    const { journal } = this.#options
    const submit = (command: Command<unknown>): unknown => journal.within(transaction, command, speaker.metadata)
    // The views know it too, but they answer later than the transaction can wait.
    const removed = (ids: readonly string[]): unknown => drive(removedIn(transaction, new Set(ids)))
    const enqueued = drive(findingOut(kept, submit, removed))
    return enqueued instanceof Promise
      ? enqueued.then((all) => withSkipped(jobs, skipped, all))
      : withSkipped(jobs, skipped, enqueued)
  }

  /** A guard for all who enqueue here, also with a definition of their own. */
  #beforeOf(job: JobDefinition): JobDefinition['before'] {
    return this.#options.definitions.get(job.type)?.before ?? job.before
  }

  #candidates(
    specs: readonly EnqueueSpec[],
    jobs: readonly NewJob[],
    payloads: readonly unknown[],
    path: Path,
  ): Candidate[] {
    return jobs.map((job, index) => ({
      job,
      before: this.#beforeOf(specs[index]?.job as JobDefinition),
      payload: payloads[index],
      path: path(index),
    }))
  }

  /** The payload as its schema makes it; a promise only where the schema needs one. */
  #check(spec: EnqueueSpec, speaker: Speaker, path: string): unknown | Promise<unknown> {
    checkKeys(spec, SPEC_KEYS, path)
    const { job, payload } = spec
    checkDefinition(job, `${path}.job`)
    this.#admit(job, speaker)
    return validate(job, payload, `${path}.payload`)
  }

  /** A reserved type is reserved also for those who come with a definition of their own. */
  #admit(job: JobDefinition, { roles }: Speaker): void {
    const { definitions, strict, conceal } = this.#options
    const { type } = job
    const known = definitions.get(type)
    if (strict && known === undefined) throw new UnknownType(type)
    if (roles === undefined) return
    for (const required of [job.requiredRoles, known?.requiredRoles]) {
      if (required === undefined || required.some((role) => roles.includes(role))) continue
      throw conceal ? new UnknownType(type) : new RoleRequired(type, required)
    }
  }

  #commands(specs: readonly EnqueueSpec[], { origin, chain }: Speaker, path: Path): NewJob[] {
    const { clock, codeVersion, queues } = this.#options
    const setting = { now: clock.now(), codeVersion, queues, origin, chain }
    const jobs = specs.map((spec, index) => this.#command(spec as CheckedSpec, setting, path(index)))
    refuseTwins(jobs, path)
    return jobs
  }

  /** Stored is what the caller gave, not what the schema made of it: the schema is asked again before the run. */
  #command(spec: CheckedSpec, setting: EnqueueSetting, path: string): NewJob {
    const { ids, maxBodyBytes } = this.#options
    const { job, payload, options } = spec
    const override = this.#options.overrides.get(job.type)
    const given = toFacts(override === undefined ? job : { ...job, ...override }, options, setting, path)
    const facts = this.#limited(spec, given, path)
    const id = options?.id === undefined ? ids.uuid() : toName(options.id, `${path}.id`)
    const body = encode(payload, `${path}.payload`, maxBodyBytes)
    const rate = this.#rateOf(job, facts)
    const plain = rate === undefined ? { id, facts, payload: body } : { id, facts, payload: body, rate }
    if (options?.unique === undefined) return plain
    const stored = (): string => storedText(body)
    const { identity, windowMs, replaces } = toUnique(options.unique, facts, stored, `${path}.unique`)
    const stream = uniqueStreamOf(identity)
    const replace = replaces ? toReplacement(options, facts, setting.now) : undefined
    if (windowMs !== undefined) return { ...plain, unique: { stream, windowMs, replace } }
    // A claim that lasts until the end is made again by a retry.
    return { ...plain, facts: { ...facts, unique: stream }, unique: { stream, replace } }
  }

  /** Who comes with a definition of their own that names no key is held to the one that the ledger knows. */
  #limited(spec: CheckedSpec, facts: Queued, path: string): Queued {
    const { job, payload, options = NO_OPTIONS } = spec
    const known = job.concurrencyKey === undefined ? this.#options.definitions.get(job.type) : undefined
    const concurrency = toConcurrency(known ?? job, payload, options, path)
    return concurrency === undefined ? facts : { ...facts, concurrency }
  }

  /** Each channel has its own count, and so has each length of window: after a change of it counting begins anew. */
  #rateOf(job: JobDefinition, { type, channel = '' }: Queued): Rate | undefined {
    const limit = this.#options.definitions.get(type)?.rateLimit ?? job.rateLimit
    if (limit === undefined) return undefined
    const counted = JSON.stringify(['rate', type, channel, limit.perMs])
    return { ...limit, stream: rateStream(claimName(counted)) }
  }
}

/** Nothing of it can come back asking for more, or be refused by an answer. */
const isPlain = (jobs: readonly NewJob[]): boolean =>
  jobs.every(({ unique, rate, facts }) => unique === undefined && rate === undefined && facts.dependsOn === undefined)

/** Decides; where that shows that more must be looked at, looks, and decides again. */
function* findingOut(
  jobs: readonly NewJob[],
  submit: (command: Command<EnqueueAnswer>) => unknown,
  lookUp: (ids: readonly string[]) => unknown,
): Steps<readonly Enqueued[]> {
  const holders = new Map<string, Holder>()
  let removed: ReadonlyMap<string, Outcome> = new Map()
  for (;;) {
    try {
      const answer = (yield submit(enqueue(jobs, { holders, removed }))) as EnqueueAnswer
      if (answer instanceof RateLimited) throw answer
      return answer
    } catch (error) {
      if (error instanceof HolderUnseen) holders.set(error.stream, error.holder)
      else if (error instanceof DependencyUnknown && !removed.has(error.dependency)) {
        removed = (yield lookUp(dependenciesOf(jobs))) as ReadonlyMap<string, Outcome>
        if (!removed.has(error.dependency)) throw error
      } else throw error
    }
  }
}

/** How those of these jobs ended that the audit stream says were removed: from the latest removal back, until all are found. */
function* removedIn(transaction: TransactionalAppend, ids: ReadonlySet<string>): Steps<ReadonlyMap<string, Outcome>> {
  const found = new Map<string, Outcome>()
  let from: number | undefined
  while (found.size < ids.size && from !== -1) {
    const back = { backwards: true, limit: AUDIT_PAGE, ...(from !== undefined && { from }) }
    const events = (yield transaction.readStream(AUDIT_STREAM, back)) as RecordedEvent[]
    for (const { type, data } of events) {
      if (type !== 'JobsRemoved') continue
      for (const { id, outcome } of (data as JobsRemoved).jobs) if (ids.has(id)) found.set(id, outcome)
    }
    from = (events.at(-1)?.revision ?? 0) - 1
  }
  return found
}

/** Removals read at a time. */
const AUDIT_PAGE = 20

const dependenciesOf = (jobs: readonly NewJob[]): string[] => [
  ...new Set(jobs.flatMap(({ facts }) => facts.dependsOn?.map((edge) => edge.id) ?? [])),
]

/** Equals stay in the order in which they were given. */
function mostUrgentFirst(jobs: readonly NewJob[]): readonly NewJob[] {
  if (jobs.length < 2) return jobs
  return jobs.toSorted((a, b) => (a.facts.priority ?? 0) - (b.facts.priority ?? 0))
}

function refuseTwins(jobs: readonly NewJob[], path: Path): void {
  if (jobs.length < 2) return
  const ids = new Set<string>()
  for (const [index, { id }] of jobs.entries()) {
    if (ids.has(id)) throw new InvalidOption(`${path(index)}.id`, 'another id than the elements before it have', id)
    ids.add(id)
  }
}
