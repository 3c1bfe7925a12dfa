import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { Metadata } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState, Outcome } from '../../domain/job/evolve.js'
import { fromRow, placeAt } from '../../projections/job-row.js'
import { checkKeys, toCount, toName, toTexts } from '../checks.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { EventStore } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { ArchivedRow, EndedFilter, Views } from '../ports/views.js'
import { ArchivedRetention } from './archived-retention.js'
import { Rehearsal } from './rehearsal.js'
import type { Removal } from './removal.js'

/**
 * Which ended jobs are to go. A job is due when it matches `state`, `type`, `queue` and `channel` and is older than
 * `olderThan`, or beyond the newest `maxCount`, or beyond the newest `maxBytes`; but never one of the newest `keepNewest`.
 * Age counts from the end. What a job that has not ended depends on stays in any case. Archived jobs are jobs like others, but
 * for `maxBytes`, which neither counts nor takes them.
 */
export interface RetentionRule {
  /** Recorded with what it removes; default `rule-1`, `rule-2` ... by place. */
  readonly name?: string
  /** `remove` (default) takes the whole job out of the log; `expunge` erases payloads, results and errors, and keeps the facts. */
  readonly action?: 'remove' | 'expunge'
  readonly state?: Outcome | readonly Outcome[]
  readonly type?: string | readonly string[]
  readonly queue?: string | readonly string[]
  readonly channel?: string | readonly string[]
  /** Strictly older than this. */
  readonly olderThan?: Duration
  readonly maxCount?: number
  /** Facts, metadata and bodies in the log, without the store's own indexes. */
  readonly maxBytes?: number
  readonly keepNewest?: number
}

export interface RetentionOptions {
  readonly rules: readonly RetentionRule[]
  /** Default 1 h. */
  readonly every?: Duration
}

export interface RetentionRun {
  /** Rules to apply instead of those the ledger was opened with. */
  readonly rules?: readonly RetentionRule[]
  /** Count only. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal
  /** Called after each page of jobs. */
  readonly onProgress?: (so: RetentionCounts) => void
}

/** `kept`: due, but a job that has not ended needs them. */
export interface RetentionCounts {
  readonly removed: number
  readonly expunged: number
  readonly kept: number
}

export interface RetentionReport extends RetentionCounts {
  /** By name; `retain` are the jobs whose own time was over. */
  readonly rules: Readonly<Record<string, RetentionCounts>>
}

interface Rule {
  readonly name: string
  readonly action: 'remove' | 'expunge'
  readonly filter: Pick<EndedFilter, 'types' | 'queues' | 'channels' | 'phases' | 'bodies'>
  readonly olderThanMs: number | undefined
  readonly maxCount: number | undefined
  readonly maxBytes: number | undefined
  readonly keepNewest: number
}

interface Run {
  readonly rehearsal: Rehearsal | undefined
  readonly signal: AbortSignal | undefined
  readonly metadata: Metadata | undefined
  readonly tell: (name: string, more: Partial<RetentionCounts>) => void
}

const PAGE = 500
/** Jobs whose bodies are in memory at once, to be hashed. */
const AT_ONCE = 20
const RULE_KEYS = new Set([
  ...['name', 'action', 'state', 'type', 'queue', 'channel'],
  ...['olderThan', 'maxCount', 'maxBytes', 'keepNewest'],
])
const RUN_KEYS = new Set(['rules', 'dryRun', 'signal', 'onProgress'])
const OPTION_KEYS = new Set(['rules', 'every'])
const OUTCOMES: readonly string[] = ['succeeded', 'failed', 'cancelled']
/** Beyond every place. */
const END = '~'
/** The name under which jobs go whose own time is over. */
const OWN = 'retain'

export class Retention {
  readonly #rules: readonly Rule[]
  readonly #everyMs: number
  readonly #store: EventStore
  readonly #views: Views
  readonly #removal: Removal
  readonly #archived: ArchivedRetention
  readonly #sweep: (metadata: Metadata | undefined) => Promise<void>
  readonly #clock: Clock
  readonly #log: Logger
  readonly #sync: () => Promise<unknown>

  /** Throws InvalidOption. */
  constructor(
    given: RetentionOptions | undefined,
    world: {
      readonly store: EventStore
      readonly views: Views
      readonly removal: Removal
      readonly clock: Clock
      readonly logger: Logger
      /** Deletes what somebody who died has left in the archive. */
      readonly sweep: (metadata: Metadata | undefined) => Promise<void>
      /** Brings the views up to what was folded. */
      readonly sync: () => Promise<unknown>
    },
  ) {
    const { rules, everyMs } = toSchedule(given)
    this.#rules = rules
    this.#everyMs = everyMs
    this.#store = world.store
    this.#views = world.views
    this.#removal = world.removal
    this.#archived = new ArchivedRetention(world.views, world.removal)
    this.#sweep = world.sweep
    this.#clock = world.clock
    this.#log = world.logger
    this.#sync = world.sync
  }

  /** The schedule: first after one interval, so that a process that only looks in removes nothing. */
  async runForever(signal: AbortSignal): Promise<void> {
    for (;;) {
      await delay(this.#clock, this.#everyMs, signal)
      const report = await this.run({ signal })
      if (report.removed + report.expunged > 0) this.#log.info({ ...report }, 'retention has run')
    }
  }

  /** Applies all rules, in order. Throws InvalidOption, or the signal's reason; what was done until then stays done. */
  async run(given: RetentionRun = {}, metadata?: Metadata): Promise<RetentionReport> {
    checkKeys(given, RUN_KEYS, 'retention.run')
    const rules = given.rules === undefined ? this.#rules : toRules(given.rules, 'retention.run.rules')
    const { dryRun = false, signal, onProgress } = given
    const counts: Record<string, RetentionCounts> = {}
    const tell = (name: string, more: Partial<RetentionCounts>): void => {
      counts[name] = sum([counts[name], more])
      onProgress?.(sum(Object.values(counts)))
    }
    const rehearsal = dryRun ? new Rehearsal() : undefined
    if (!dryRun) await this.#sweep(metadata)
    for (const rule of [OWN_RULE, ...rules]) {
      // Each rule goes by what those before it have left.
      await this.#sync()
      await this.#applyRule(rule, { rehearsal, signal, tell, metadata })
    }
    return { ...sum(Object.values(counts)), rules: counts }
  }

  async #applyRule(rule: Rule, run: Run): Promise<void> {
    // Jobs with a time of their own are not archived.
    if (rule === OWN_RULE) return this.#apply(rule, { keep: this.#clock.now(), limit: PAGE, before: END }, run)
    const { live, archived } = await this.#cutoffs(rule, run.rehearsal)
    await this.#apply(rule, { ...rule.filter, keep: 'rules', limit: PAGE, before: live }, run)
    await this.#applyToArchived(rule, archived, run)
  }

  async #applyToArchived(rule: Rule, before: string, { rehearsal, signal, metadata, tell }: Run): Promise<void> {
    const filter = { ...rule.filter, limit: PAGE, before }
    const tellOf = (more: Partial<RetentionCounts>): void => tell(rule.name, more)
    if (rehearsal === undefined) await this.#archived.apply({ rule, filter, signal, metadata, tell: tellOf })
    else for await (const rows of this.#archived.pages(filter, signal)) tellOf(this.#rehearse(rule, rows, rehearsal))
  }

  async #apply(rule: Rule, filter: EndedFilter, run: Run): Promise<void> {
    for (let before = filter.before; ; ) {
      run.signal?.throwIfAborted()
      const rows = await this.#views.ended({ ...filter, ...(before !== undefined && { before }) })
      if (rows.length === 0) return
      const jobs = rows.map((row) => fromRow(row.state))
      if (run.rehearsal !== undefined) run.tell(rule.name, this.#rehearse(rule, jobs, run.rehearsal))
      else if (rule.action === 'remove')
        run.tell(rule.name, await this.#removal.removeAll(jobs, rule.name, run.metadata))
      else run.tell(rule.name, await this.#expunge(jobs, rule.name, run.metadata))
      before = rows.at(-1)?.endPlace
    }
  }

  #rehearse({ action }: Rule, jobs: readonly Pick<JobState, 'id'>[], rehearsal: Rehearsal): Partial<RetentionCounts> {
    const left = jobs.filter(({ id }) => rehearsal.isLeft(id, action))
    const due = left.filter(({ id }) => !this.#removal.isNeeded(id))
    for (const { id } of due) rehearsal.note(id, action)
    return { [action === 'expunge' ? 'expunged' : 'removed']: due.length, kept: left.length - due.length }
  }

  /** Not what others may still ask for: a dependent reads the result when it runs. */
  async #expunge(
    jobs: readonly JobState[],
    rule: string,
    metadata: Metadata | undefined,
  ): Promise<Partial<RetentionCounts>> {
    const free = jobs.filter(({ id }) => !this.#removal.isNeeded(id))
    let expunged = 0
    for (let from = 0; from < free.length; from += AT_ONCE) {
      const some = free.slice(from, from + AT_ONCE)
      const done = await Promise.all(some.map((job) => this.#removal.expungeEnded(job, rule, metadata)))
      expunged += done.filter(Boolean).length
    }
    return { expunged, kept: jobs.length - free.length }
  }

  /** Everything that ended before this place is due. */
  async #cutoffs(rule: Rule, rehearsal: Rehearsal | undefined): Promise<Record<'live' | 'archived', string>> {
    const age = rule.olderThanMs === undefined ? '' : placeAt(this.#clock.now() - rule.olderThanMs)
    const due = [age, await this.#afterNewest(rule, rule.maxCount, rehearsal)]
    const guard = rule.keepNewest === 0 ? END : await this.#afterNewest(rule, rule.keepNewest, rehearsal)
    const guarded = (places: readonly string[]): string =>
      [[...places].sort().at(-1) as string, guard].sort()[0] as string
    return { live: guarded([...due, await this.#afterBytes(rule, rehearsal)]), archived: guarded(due) }
  }

  /** Where the newest `count` end; '' when there are no more than that. */
  async #afterNewest(rule: Rule, count: number | undefined, rehearsal: Rehearsal | undefined): Promise<string> {
    if (count === undefined) return ''
    let left = count
    let place = END
    for await (const rows of this.#newestFirst(rule, rehearsal)) {
      if (rows.length > left) return left === 0 ? place : (rows[left - 1]?.endPlace ?? place)
      left -= rows.length
      place = rows.at(-1)?.endPlace ?? place
    }
    return ''
  }

  /** Where the newest `maxBytes` of the log end. Looks at the size of every job that stays. */
  async #afterBytes(rule: Rule, rehearsal: Rehearsal | undefined): Promise<string> {
    if (rule.maxBytes === undefined) return ''
    let bytes = 0
    let place = END
    for await (const rows of this.#newestFirst(rule, rehearsal)) {
      const sizes = await this.#store.sizes(rows.map((row) => jobStream(row.id)))
      for (const [index, size] of sizes.entries()) {
        bytes += size
        if (bytes > rule.maxBytes) return place
        place = rows[index]?.endPlace ?? place
      }
    }
    return ''
  }

  /** Those in the log and those in the archive. */
  async *#newestFirst(
    { filter, action }: Rule,
    rehearsal: Rehearsal | undefined,
  ): AsyncIterable<readonly Pick<ArchivedRow, 'id' | 'endPlace'>[]> {
    for (let before = END; ; ) {
      const page = { ...filter, before, limit: PAGE }
      const [live, archived] = [await this.#views.ended({ ...page, keep: 'rules' }), await this.#views.archived(page)]
      const rows = [...live, ...archived].sort((a, b) => (a.endPlace < b.endPlace ? 1 : -1)).slice(0, PAGE)
      if (rows.length === 0) return
      yield rehearsal === undefined ? rows : rows.filter(({ id }) => rehearsal.isLeft(id, action))
      before = rows.at(-1)?.endPlace as string
    }
  }
}

/** Jobs whose own time is over. */
const OWN_RULE: Rule = {
  ...{ name: OWN, action: 'remove', filter: {}, keepNewest: 0 },
  ...{ olderThanMs: undefined, maxCount: undefined, maxBytes: undefined },
}

function sum(parts: readonly (Partial<RetentionCounts> | undefined)[]): RetentionCounts {
  const add = (key: keyof RetentionCounts): number => parts.reduce((total, part) => total + (part?.[key] ?? 0), 0)
  return { removed: add('removed'), expunged: add('expunged'), kept: add('kept') }
}

/** Throws InvalidOption. */
export function toSchedule(given: RetentionOptions | undefined): { readonly rules: Rule[]; readonly everyMs: number } {
  if (given !== undefined) checkKeys(given, OPTION_KEYS, 'openLedger.retention')
  const everyMs = toMs(given?.every ?? '1h', 'openLedger.retention.every')
  if (everyMs < 1_000) throw new InvalidOption('openLedger.retention.every', 'a duration of at least 1 s', given?.every)
  return { rules: toRules(given?.rules ?? [], 'openLedger.retention.rules'), everyMs }
}

function toRules(given: readonly RetentionRule[], path: string): Rule[] {
  if (!Array.isArray(given)) throw new InvalidOption(path, 'an array of rules', given)
  const rules = given.map((rule, index) => toRule(rule, index, `${path}[${index}]`))
  for (const [index, { name }] of rules.entries()) {
    const isTaken = name === OWN || rules.findIndex((other) => other.name === name) !== index
    if (isTaken) throw new InvalidOption(`${path}[${index}].name`, 'a name of its own', name)
  }
  return rules
}

function toRule(given: RetentionRule, index: number, path: string): Rule {
  checkKeys(given, RULE_KEYS, path)
  const { name, action = 'remove', olderThan, maxCount, maxBytes, keepNewest = 0 } = given
  if (action !== 'remove' && action !== 'expunge') {
    throw new InvalidOption(`${path}.action`, '"remove" or "expunge"', action)
  }
  if (olderThan === undefined && maxCount === undefined && maxBytes === undefined) {
    throw new InvalidOption(path, 'a rule with `olderThan`, `maxCount` or `maxBytes`', given)
  }
  const phases = toTexts(given.state, `${path}.state`)
  const odd = phases?.find((state) => !OUTCOMES.includes(state))
  if (odd !== undefined) throw new InvalidOption(`${path}.state`, `of ${OUTCOMES.join(', ')}`, odd)
  const [types, queues, channels] = [
    toTexts(given.type, `${path}.type`),
    toTexts(given.queue, `${path}.queue`),
    toTexts(given.channel, `${path}.channel`),
  ]
  return {
    name: name === undefined ? `rule-${index + 1}` : toName(name, `${path}.name`),
    action,
    filter: {
      ...(phases !== undefined && { phases }),
      ...(types !== undefined && { types }),
      ...(queues !== undefined && { queues }),
      ...(channels !== undefined && { channels }),
      ...(action === 'expunge' && { bodies: true as const }),
    },
    olderThanMs: olderThan === undefined ? undefined : toMs(olderThan, `${path}.olderThan`),
    maxCount: maxCount === undefined ? undefined : toCount(maxCount, `${path}.maxCount`, 0),
    maxBytes: maxBytes === undefined ? undefined : toCount(maxBytes, `${path}.maxBytes`, 0),
    keepNewest: toCount(keepNewest, `${path}.keepNewest`, 0),
  }
}
