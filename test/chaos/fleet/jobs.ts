/** What the fleet has to do. Job number n of a seed is always the same; how its runs end, too, if they get so far. */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BatchElement, DependencyOption, EnqueueOptions, JobContext, JobDefinition } from '../../../index.js'
import { defineJob, Fatal } from '../../../index.js'
import type { Draw } from './draws.js'
import { between, drawsFor, pick } from './draws.js'
import type { Mark } from './law-of-leases.js'

export const KINDS = ['instant', 'brief', 'flaky', 'doomed', 'long', 'parent', 'sleeper', 'second'] as const
export type Kind = (typeof KINDS)[number]

/** `doomed` always fails, `second` ends as failed and succeeds when an operator sends it round again. */
const WEIGHTS: Readonly<Record<Kind, number>> = {
  ...{ instant: 400, brief: 350, flaky: 120, doomed: 15, long: 6, parent: 40, sleeper: 40, second: 15 },
}

interface Payload {
  /** How long a run takes. */
  readonly ms: number
  /** Attempts that fail before one succeeds. */
  readonly fails: number
}

const QUEUES = ['default', 'mail', 'reports']
const PRIORITIES = [0, 0, 0, 0, -1, 1, 2]
const UNIQUE_KEYS = 7
/** Runs of one of them at once, in the whole fleet. */
const LIMIT = 2
const TENANTS = ['ann', 'bob', 'eve']
/** A job waits for one of so many before it. */
const NEIGHBOURS = 60

const jobId = (n: number): string => `c${n}`
const childOf = (id: string): string => `${id}.child`

/** One job, as it is enqueued under an id of our own. */
export interface Spec extends BatchElement<Payload> {
  readonly options: EnqueueOptions & { readonly id: string }
}

export function specOf(seed: number, n: number): Spec {
  const draw = drawsFor(seed, `job ${n}`)
  const kind = kindOf(draw)
  const payload = { ms: durationOf(kind, draw), fails: between(draw, 1, 2) }
  const dependsOn = edgesOf(seed, n, draw)
  const key = keyOf(seed, n)
  const options = {
    id: jobId(n),
    queue: pick(draw, QUEUES),
    priority: pick(draw, PRIORITIES),
    ...(draw() < 0.1 && { delay: between(draw, 1, 1_500) }),
    ...(dependsOn.length > 0 && { dependsOn }),
    ...(key !== undefined && { unique: { key } }),
    ...(kind === 'brief' && draw() < 0.15 && { concurrencyKey: pick(draw, TENANTS), concurrencyLimit: LIMIT }),
  }
  return { job: definitions.get(kind) as JobDefinition<Payload>, payload, options }
}

function kindOf(draw: Draw): Kind {
  const all = Object.entries(WEIGHTS) as [Kind, number][]
  let left = draw() * all.reduce((sum, [, weight]) => sum + weight, 0)
  for (const [kind, weight] of all) {
    left -= weight
    if (left < 0) return kind
  }
  return 'instant'
}

function durationOf(kind: Kind, draw: Draw): number {
  if (kind === 'instant') return 0
  return kind === 'long' ? between(draw, 1_200, 3_000) : between(draw, 1, 100)
}

/** Of a job that is to be the only one of its key. */
function keyOf(seed: number, n: number): string | undefined {
  const draw = drawsFor(seed, `key ${n}`)
  return draw() < 0.04 ? `key ${between(draw, 1, UNIQUE_KEYS)}` : undefined
}

/**
 * Never `block`: a dependency may fail, and everything is to end. Never on a job with a key: it may turn out to be a
 * duplicate of another one.
 */
function edgesOf(seed: number, n: number, draw: Draw): DependencyOption[] {
  if (n === 0 || draw() >= 0.1) return []
  const neighbours = new Set(
    Array.from({ length: between(draw, 1, 3) }, () => Math.max(0, n - between(draw, 1, NEIGHBOURS))),
  )
  const there = [...neighbours].filter((each) => keyOf(seed, each) === undefined)
  return there.map((each) => ({
    id: jobId(each),
    on: pick(draw, ['succeeded', 'finished'] as const),
    otherwise: pick(draw, ['cancel', 'run'] as const),
  }))
}

/** Whoever fails with it is meant to be sent round again. */
class SecondRound extends Error {
  override readonly name = 'SecondRound'
}

/** Where a handler leaves its traces; nothing in a process that only enqueues. */
let diary: string | undefined

/** A line that outlives the process from the moment this returns, killed or not. */
function note(what: 'began' | 'ended' | 'enqueued', id: string, run = 0, workerId = ''): void {
  if (diary !== undefined) appendFileSync(diary, `${what} ${id} ${run} ${workerId} ${Date.now()}\n`)
}

/** Handlers of this process write down what they do. */
export function keepDiary(path: string): void {
  diary = path
}

function kind(type: Kind, work: (payload: Payload, ctx: JobContext) => unknown, maxAttempts = 5): JobDefinition {
  const job = defineJob<Payload, Mark>({
    type,
    maxAttempts,
    backoff: { min: 20, max: 200 },
    async handle(payload, ctx) {
      const { id, run, workerId } = ctx
      note('began', id, run, workerId)
      await work(payload, ctx)
      note('ended', id, run, workerId)
      return { run, workerId }
    },
  })
  return job as JobDefinition
}

const rest = (ms: number): unknown => (ms === 0 ? undefined : sleep(ms))

const child = kind('instant', () => {})

const definitions: ReadonlyMap<Kind, JobDefinition> = new Map(
  [
    child,
    kind('brief', ({ ms }) => sleep(ms)),
    kind('flaky', async ({ ms, fails }, { attempt }) => {
      await sleep(ms)
      if (attempt <= fails) throw new Error(`fails ${fails} times`)
    }),
    kind(
      'doomed',
      async ({ ms }, { attempt }) => {
        await sleep(ms)
        if (attempt === 2) throw new Fatal('never succeeds')
        throw new Error('never succeeds')
      },
      3,
    ),
    kind('long', async ({ ms }, ctx) => {
      await ctx.heartbeat(0)
      await sleep(ms, undefined, { signal: ctx.signal })
    }),
    kind('parent', async ({ ms }, { id, ledger }) => {
      const enqueued = await ledger.enqueue(child, { ms: 0, fails: 0 }, { id: childOf(id) })
      note('enqueued', enqueued.id)
      await rest(ms)
    }),
    kind('sleeper', async ({ ms }, ctx) => {
      await sleep(ms)
      if (ctx.run === 1) ctx.snooze(ms * 10)
    }),
    kind(
      'second',
      async ({ ms }, { run }) => {
        await sleep(ms)
        if (run === 1) throw new SecondRound()
      },
      1,
    ),
  ].map((definition) => [definition.type as Kind, definition]),
)

export const jobs: readonly JobDefinition[] = [...definitions.values()]
