/** Why a job that waits is not running: everything that is in its way, as far as the log knows. */
import { formatMs } from '../domain/duration.js'
import type { RecordedEvent } from '../domain/event.js'
import type { DependencyEdge } from '../domain/job/events.js'
import type { JobState } from '../domain/job/evolve.js'
import { queueStream } from '../domain/queue/events.js'
import { workerStream } from '../domain/worker/events.js'
import type { WorkerState } from '../domain/worker/evolve.js'
import type { Deed } from './deeds.js'
import { deedOf, whoAndWhy } from './deeds.js'
import type { JobBoard } from './job-board.js'
import type { JobStatusName } from './job-status.js'
import type { Lane } from './lines.js'
import type { QueueRegistry } from './queue-registry.js'
import { byUrgency } from './urgency-queue.js'
import type { WorkerRegistry } from './worker-registry.js'

/** A reason by its stable `code`, its facts, and a sentence for people. */
export type Told<Code extends string, Facts = unknown> = { readonly code: Code; readonly says: string } & Facts

/** A dependency that is still in the way, and how it stands. */
export interface OpenDependency extends Pick<DependencyEdge, 'id' | 'on' | 'otherwise'> {
  readonly state: JobStatusName | 'removed' | 'unknown'
}

/** A run that has what the job would need. */
export interface Holder {
  readonly jobId: string
  readonly workerId: string
  /** Since when (ms). */
  readonly since: number
}

export type WaitReason =
  | Told<'held', { readonly by?: Deed }>
  /** `by`: what has set the time: a failed attempt, a handler that put it off, an operator, or whoever enqueued it. */
  | Told<
      'scheduled',
      { readonly until: number; readonly by: 'enqueue' | 'retry' | 'snooze' | 'operator'; readonly deed?: Deed }
    >
  | Told<'blocked', { readonly dependencies: readonly OpenDependency[] }>
  | Told<'queue-paused', { readonly queue: string; readonly since: number; readonly by?: Deed }>
  | Told<'key-full', { readonly key: string; readonly limit: number; readonly holders: readonly Holder[] }>
  /** In each process that serves it, as many jobs of the queue run as may. */
  | Told<'queue-full', { readonly queue: string; readonly limit: number; readonly running: number }>
  /** `live`: workers that were heard of lately; of those, how many take each of the three. */
  | Told<'no-worker', Lane & { readonly live: number; readonly serving: Readonly<Record<keyof Lane, number>> }>
  | Told<'workers-paused', { readonly workers: readonly { readonly id: string; readonly by?: Deed }[] }>
  /** Only workers elsewhere serve it, which take a job when they ask for one. */
  | Told<'not-asked-for', { readonly workers: readonly string[] }>
  | Told<'slots-busy', { readonly slots: number; readonly ahead: number }>
  /** It has lost a lease, and another one that did is tried first. */
  | Told<'suspect', { readonly lost: number; readonly ahead: number }>
  /** Nothing that the log knows is in its way: `ahead` are more urgent. */
  | Told<'next', { readonly ahead: number }>

/** What is asked of the world. */
export interface Surroundings {
  readonly board: JobBoard
  readonly workers: WorkerRegistry
  readonly queues: QueueRegistry
  readonly now: number
  /** How those of the job's dependencies stand that the board does not hold. */
  readonly dependencies: ReadonlyMap<string, OpenDependency['state']>
  /** Who has paused a queue or a worker, by stream. */
  readonly deeds: ReadonlyMap<string, Deed>
  /** Runs at once of a queue in this runtime (undefined: in one of which only the log is known). */
  limitOf(queue: string, runtime: string | undefined): number | undefined
  statusOf(job: JobState): JobStatusName
}

/** The first is what people ask for; never empty. `events`: the job's own. */
export function whyWaiting(
  job: JobState,
  events: readonly RecordedEvent[],
  world: Surroundings,
): readonly WaitReason[] {
  const own = [held(job, events), blocked(job, world), scheduled(job, events, world), queuePaused(job, world)]
  const others = [keyFull(job, world), unserved(job, world), queueFull(job, world)]
  const reasons = [...own, ...others].filter((reason) => reason !== undefined)
  return reasons.length > 0 ? reasons : [inLine(job, world)]
}

function held(job: JobState, events: readonly RecordedEvent[]): WaitReason | undefined {
  if (!job.held) return undefined
  const deed = deedOf(events.findLast((event) => (event.data as { held?: boolean }).held === true))
  const by = deed === undefined ? {} : { by: deed }
  return { code: 'held', ...by, says: `It is held${whoAndWhy(deed)} until somebody promotes it.` }
}

const SETTERS: Readonly<Record<string, 'enqueue' | 'retry' | 'snooze' | 'operator'>> = {
  Queued: 'enqueue',
  Retried: 'retry',
  Released: 'snooze',
  Rescheduled: 'operator',
}
const SET_BY = {
  enqueue: 'It was enqueued to run then',
  retry: 'Its last attempt failed, and the next one waits',
  snooze: 'Its handler has put it off',
  operator: 'It was rescheduled',
}

function scheduled(job: JobState, events: readonly RecordedEvent[], { now }: Surroundings): WaitReason | undefined {
  const { runAt: until } = job
  if (until <= now) return undefined
  const setter = events.findLast(({ type, data }) => type in SETTERS && (data as { runAt?: number }).runAt === until)
  const by = SETTERS[setter?.type ?? 'Queued'] as keyof typeof SET_BY
  const deed = deedOf(setter)
  const when = `${new Date(until).toISOString()}, in ${formatMs(until - now)}`
  const says = `It is not due before ${when}. ${SET_BY[by]}${whoAndWhy(deed)}.`
  return { code: 'scheduled', until, by, ...(deed !== undefined && { deed }), says }
}

function blocked(job: JobState, world: Surroundings): WaitReason | undefined {
  const edges = world.board.graph.openEdges(job.id)
  if (edges.length === 0) return undefined
  const dependencies = edges.map(({ id, on, otherwise }) => ({ id, on, otherwise, state: stateOf(id, world) }))
  const told = dependencies.slice(0, 3).map(({ id, state }) => `${id} (${state})`)
  const more = dependencies.length > 3 ? ` and ${dependencies.length - 3} more` : ''
  const failed = dependencies.some(({ state }) => ['failed', 'cancelled', 'removed'].includes(state))
  const hint = failed ? ' What failed must be sent round again before this one can run.' : ''
  return { code: 'blocked', dependencies, says: `It waits for ${told.join(', ')}${more}.${hint}` }
}

function stateOf(id: string, { board, dependencies, statusOf }: Surroundings): OpenDependency['state'] {
  const job = board.get(id)
  return job === undefined ? (dependencies.get(id) ?? 'unknown') : statusOf(job)
}

function queuePaused({ queue }: JobState, { queues, deeds }: Surroundings): WaitReason | undefined {
  const pause = queues.get(queue)?.pause
  if (pause === undefined) return undefined
  const told = deeds.get(queueStream(queue))
  const by = told ?? { at: pause.at, ...(pause.reason !== undefined && { reason: pause.reason }) }
  const since = pause.at
  const says = `Its queue ${JSON.stringify(queue)} is paused since ${new Date(since).toISOString()}${whoAndWhy(by)}.`
  return { code: 'queue-paused', queue, since, by, says }
}

function keyFull(job: JobState, { board }: Surroundings): WaitReason | undefined {
  const concurrency = job.rare?.concurrency
  if (concurrency === undefined || board.keys.running(concurrency.key) < concurrency.limit) return undefined
  const { key, limit } = concurrency
  const holders = [...board.leased.values()].filter(({ rare }) => rare?.concurrency?.key === key).map(holderOf)
  const names = holders.slice(0, 3).map(({ jobId }) => jobId)
  const says = `Its key ${JSON.stringify(key)} may have ${limit} at once, and ${names.join(', ')} ${names.length === 1 ? 'runs' : 'run'}.`
  return { code: 'key-full', key, limit, holders, says }
}

function holderOf({ id, lease }: JobState): Holder {
  const { workerId, at } = lease as NonNullable<JobState['lease']>
  return { jobId: id, workerId, since: at }
}

/** One that speaks through the lease protocol and names no types asks for whatever it likes. */
const takes = {
  type: ({ types, process }: WorkerState, { type }: Lane): boolean =>
    types.includes(type) || (process === undefined && types.length === 0),
  queue: ({ queues }: WorkerState, { queue }: Lane): boolean => queues?.includes(queue) ?? true,
  channel: ({ channels }: WorkerState, { channel }: Lane): boolean => channels?.includes(channel) ?? true,
}

const serves = (worker: WorkerState, lane: Lane): boolean =>
  takes.type(worker, lane) && takes.queue(worker, lane) && takes.channel(worker, lane)

const laneOf = ({ type, queue, channel }: JobState): Lane => ({ type, queue, channel })

const servingOf = (job: JobState, { workers, now }: Surroundings): WorkerState[] =>
  workers.live(now).filter((worker) => serves(worker, job))

/** No worker, or none that takes jobs. */
function unserved(job: JobState, world: Surroundings): WaitReason | undefined {
  const serving = servingOf(job, world)
  if (serving.length === 0) return noWorker(job, world.workers.live(world.now))
  if (serving.some(({ status }) => status === 'active')) return undefined
  const workers = serving.map(({ id }) => {
    const by = world.deeds.get(workerStream(id))
    return by === undefined ? { id } : { id, by }
  })
  const told = workers.slice(0, 3).map(({ id, by }) => `${id}${whoAndWhy(by)}`)
  return {
    code: 'workers-paused',
    workers,
    says: `All workers that serve it are paused or draining: ${told.join('; ')}.`,
  }
}

function noWorker(job: JobState, live: readonly WorkerState[]): WaitReason {
  const lane = laneOf(job)
  const count = (part: keyof Lane): number => live.filter((worker) => takes[part](worker, lane)).length
  const serving = { type: count('type'), queue: count('queue'), channel: count('channel') }
  const what = `type ${lane.type}, queue ${JSON.stringify(lane.queue)}, channel ${JSON.stringify(lane.channel)}`
  const heard =
    live.length === 0
      ? 'no worker was heard of lately'
      : `of ${live.length} ${serving.type} run the type, ${serving.queue} serve the queue, ${serving.channel} the channel`
  return { code: 'no-worker', ...lane, live: live.length, serving, says: `No live worker serves ${what}: ${heard}.` }
}

const inProcess = ({ process, status }: WorkerState): boolean => process !== undefined && status === 'active'

/** Each runtime that serves it runs as many of the queue as it may. */
function queueFull(job: JobState, world: Surroundings): WaitReason | undefined {
  const runtimes = new Set(
    servingOf(job, world)
      .filter(inProcess)
      .map(({ runtime }) => runtime),
  )
  let limits = 0
  let running = 0
  for (const runtime of runtimes) {
    const limit = world.limitOf(job.queue, runtime)
    const runs = [...world.board.leased.values()].filter(
      ({ queue, lease }) => queue === job.queue && world.workers.get(lease?.workerId ?? '')?.runtime === runtime,
    ).length
    if (limit === undefined || runs < limit) return undefined
    limits += limit
    running += runs
  }
  if (runtimes.size === 0) return undefined
  const says = `Of its queue ${JSON.stringify(job.queue)} ${limits} may run at once, and ${running} ${running === 1 ? 'does' : 'do'}.`
  return { code: 'queue-full', queue: job.queue, limit: limits, running, says }
}

/** Nothing is wrong: others are first, or it is about to be leased. */
function inLine(job: JobState, world: Surroundings): WaitReason {
  const here = servingOf(job, world).filter(inProcess)
  if (here.length === 0) {
    const workers = servingOf(job, world).map(({ id }) => id)
    const says = `It may run: only workers elsewhere serve it (${workers.slice(0, 3).join(', ')}), and none has asked for it yet.`
    return { code: 'not-asked-for', workers, says }
  }
  const ahead = moreUrgent(job, here, world)
  if (job.lost > 0) {
    const says = `It has lost ${job.lost} of its leases. Such jobs are tried one at a time: ${ahead} before it.`
    return { code: 'suspect', lost: job.lost, ahead, says }
  }
  const ids = new Set(here.map(({ id }) => id))
  const busy = [...world.board.leased.values()].filter(({ lease }) => ids.has(lease?.workerId ?? '')).length
  const slots = here.reduce((sum, { concurrency }) => sum + concurrency, 0)
  if (busy >= slots) {
    const says = `All ${slots} slots of the workers that serve it are busy, and ${ahead} ${ahead === 1 ? 'job is' : 'jobs are'} more urgent.`
    return { code: 'slots-busy', slots, ahead, says }
  }
  const says = `Nothing that the log knows is in its way: ${ahead === 0 ? 'it is next' : `${ahead} more urgent go first`}.`
  return { code: 'next', ahead, says }
}

/** Of those that the same workers might run now. Looks at every job that waits. */
function moreUrgent(job: JobState, workers: readonly WorkerState[], { board, queues, now }: Surroundings): number {
  const isSuspect = job.lost > 0
  let count = 0
  for (const other of board.jobs) {
    if (other.phase !== 'waiting' || other.id === job.id || other.held || other.runAt > now) continue
    if (other.lost > 0 !== isSuspect || byUrgency(other, job) > 0 || board.graph.isBlocked(other.id)) continue
    if (!queues.isPaused(other.queue) && workers.some((worker) => serves(worker, other))) count += 1
  }
  return count
}
