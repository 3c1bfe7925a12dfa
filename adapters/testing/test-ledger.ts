import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { Instant } from '../../domain/instant.js'
import { toInstant } from '../../domain/instant.js'
import type { JobStatusName } from '../../projections/job-status.js'
import { toCount } from '../../runtime/checks.js'
import { NoHandlers } from '../../runtime/errors.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { LedgerOptions } from '../../runtime/options.js'
import type { Logger } from '../../runtime/ports/logger.js'
import type { JobStatus } from '../../runtime/read/queries.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import type { OwnLedger, Storage } from '../open-ledger.js'
import { openInWorld } from '../open-ledger.js'
import { Assertions } from './assertions.js'
import { Conductor } from './conductor.js'
import type { PastEvent } from './history.js'
import { seededBytes } from './random.js'
import { Roll } from './roll.js'
import type { JobStory } from './story.js'
import { tell } from './story.js'
import type { VirtualClock } from './virtual-clock.js'
import { waitFor } from './wait-for.js'
import { watched } from './watched.js'

export interface TestLedgerOptions extends LedgerOptions {
  /** When virtual time begins. Default 2026-01-01T00:00:00Z. */
  readonly start?: Instant
  /** The same seed, the same ids and the same jitter. A whole number, default 1. */
  readonly seed?: number
  /**
   * How long a run may go on in real time without a sign of life, while a call of the test waits for it; then it is taken to
   * wait for virtual time. Default 250 ms.
   */
  readonly patience?: Duration
  /**
   * Runs that may follow each other while time stands still, beyond one for each job that is there; then it is taken to be
   * endless. Default 100,000.
   */
  readonly maxRuns?: number
  /** Told of assertions that are false and have a message. Default: the logger's `error`, without a logger `console.error`. */
  readonly report?: (text: string) => void
}

/** What a test ledger can do beside all that a ledger can. */
export interface TestVerbs extends Pick<Assertions, keyof Assertions> {
  /** The ledger's time, for handlers that need to tell or to wait. Its `advance` is the ledger's. */
  readonly clock: VirtualClock
  /**
   * Runs every job that is due, and what follows from that, until nothing is ready; time stands still. Answers with the ids
   * of the jobs that still run: they wait for time to pass, or for longer than `patience`. Throws EndlessRuns.
   */
  drain(): Promise<string[]>
  /** Lets time pass; what falls due meanwhile (delays, retries, timeouts, leases) happens at its own instant. */
  advance(duration: Duration): Promise<void>
  /**
   * Lets time pass until the job is in this state, or has been in it since the call; answers with its status then.
   * Throws WaitTimeout when it was not within so much virtual time (default 1 h). The job need not exist yet.
   */
  waitFor(
    job: string | { readonly id: string },
    state: JobStatusName,
    options?: { readonly within?: Duration },
  ): Promise<JobStatus>
  /** Jobs with this history; what `when` does to them, `then` judges. */
  given(...history: readonly PastEvent[]): JobStory
}

export type TestLedger = Ledger & TestVerbs

/**
 * A ledger in memory on virtual time: nothing runs until `drain`, `advance` or `waitFor`, which start it if need be.
 * Throws InvalidOption, DuplicateType.
 */
export async function testLedger(options: TestLedgerOptions = {}): Promise<TestLedger> {
  const { start, seed, patience, maxRuns, report, autoStart = false, ...rest } = checked(options)
  const roll = new Roll()
  const conductor: Conductor = new Conductor({
    now: start,
    patienceMs: patience,
    maxRuns,
    jobs: () => roll.size,
    job: () => own.scope.current()?.id,
    begin: () => begin(own.ledger),
  })
  const before = ({ store, views, ...others }: Storage): Storage => ({
    ...others,
    store: watched(store, conductor),
    views: watched(views, conductor),
  })
  const world = { clock: conductor.clock.engine, fill: seededBytes(seed), gate: conductor, before }
  const own = await openInWorld(world, { ...rest, ...(rest.jobs && { jobs: watchedCommits(rest.jobs, conductor) }) })
  own.ledger.events$.subscribe((event) => {
    roll.follow(event)
    conductor.follow(event)
  })
  const ledger = withVerbs(own, conductor, new Assertions(roll, report ?? reporter(rest.logger)))
  // Not while it opens: nobody would have heard of its workers.
  if (autoStart !== false) await ledger.start(autoStart === true ? {} : autoStart)
  return ledger
}

const FIRST_DAY = Date.UTC(2026, 0, 1)

function checked(options: TestLedgerOptions) {
  if (typeof options !== 'object' || options === null) throw new InvalidOption('testLedger', 'an object', options)
  const { start = FIRST_DAY, seed = 1, patience = 250, maxRuns = 100_000, report } = options
  if (report !== undefined && typeof report !== 'function') {
    throw new InvalidOption('testLedger.report', 'a function', report)
  }
  return {
    ...options,
    start: toInstant(start, 'testLedger.start'),
    seed: toCount(seed, 'testLedger.seed', 0),
    patience: toMs(patience, 'testLedger.patience'),
    maxRuns: toCount(maxRuns, 'testLedger.maxRuns', 1),
  }
}

/** What is no array of definitions is refused for that. */
const watchedCommits = (jobs: readonly JobDefinition[], conductor: Conductor): readonly JobDefinition[] =>
  Array.isArray(jobs) ? jobs.map((job) => watchedCommit(job, conductor)) : jobs

function watchedCommit(job: JobDefinition, conductor: Conductor): JobDefinition {
  const { commit } = job ?? {}
  if (commit === undefined) return job
  const watching: typeof commit = async (end, ctx) => {
    try {
      return await conductor.runs.duringCommit(ctx.id, () => commit(end, ctx))
    } finally {
      conductor.happens()
    }
  }
  return { ...job, commit: watching }
}

function reporter(logger: Logger | undefined): (text: string) => void {
  return logger === undefined ? (text) => console.error(text) : (text) => logger.error({}, text)
}

/** One without handlers has nothing to run yet, and may be drained all the same. */
async function begin(ledger: Ledger): Promise<void> {
  await ledger.start().catch((error) => {
    if (!(error instanceof NoHandlers)) throw error
  })
}

function withVerbs({ ledger, store, ids }: OwnLedger, conductor: Conductor, assertions: Assertions): TestLedger {
  const { clock } = conductor
  const verbs: TestVerbs = {
    clock,
    drain: () => conductor.drain(),
    advance: (duration) => conductor.advance(duration),
    waitFor: (job, state, options) => waitFor(ledger, conductor, job, state, options),
    given: (...history) => ({
      when: (act) => tell({ ledger, store, clock, ids, quiet: () => conductor.quiet() }, history, act),
    }),
    ...bound(assertions),
  }
  return Object.assign(ledger, verbs, inTime(ledger, conductor))
}

/** What a ledger does otherwise than its class. */
function inTime(ledger: Ledger, conductor: Conductor): Pick<Ledger, 'start' | 'stop' | 'close' | 'register'> {
  const start = ledger.start.bind(ledger)
  const stop = ledger.stop.bind(ledger)
  const close = ledger.close.bind(ledger)
  const register = ledger.register.bind(ledger)
  return {
    async start(options) {
      const started = await start(options)
      conductor.hasBegun()
      return started
    },
    // What these wait for comes only with time.
    stop: (options) => conductor.passWhile(stop(options)),
    close: (options) => conductor.passWhile(close(options)),
    register: (job) => register(watchedCommit(job, conductor)),
  }
}

const bound = (assertions: Assertions): Pick<Assertions, keyof Assertions> => ({
  contains: (type, message) => assertions.contains(type, message),
  notContains: (type, message) => assertions.notContains(type, message),
  empty: (message) => assertions.empty(message),
  notEmpty: (message) => assertions.notEmpty(message),
  total: (count, message) => assertions.total(count, message),
  jobs: () => assertions.jobs(),
  get: (position) => assertions.get(position),
  getFirst: () => assertions.getFirst(),
  getOf: (type, position) => assertions.getOf(type, position),
  getFirstOf: (type) => assertions.getFirstOf(type),
})
