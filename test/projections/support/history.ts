/** Random but lawful histories of jobs that depend on each other, and the plainest reading of them. */
import type { Draft, RecordedEvent } from '../../../domain/event.js'
import type { Decision } from '../../../domain/job/decide.js'
import * as decide from '../../../domain/job/decide.js'
import { isOpen, judgeEdge } from '../../../domain/job/edges.js'
import type { DependencyEdge, JobEvent } from '../../../domain/job/events.js'
import { jobIdOf, jobStream } from '../../../domain/job/events.js'
import type { JobState } from '../../../domain/job/evolve.js'
import { evolve } from '../../../domain/job/evolve.js'
import { facts, NOW } from '../../domain/support/jobs.js'

export const DEEDS = [
  'enqueue',
  'lease',
  'heartbeat',
  'finish',
  'fail',
  'lose lease',
  'release',
  'snooze',
  'requeue',
  'refuse',
  'cancel',
  'cancel a doomed one',
  'retry',
  'reschedule',
  'promote',
  'expunge',
  'condemn',
] as const

/** One step: who is meant, and with what numbers. */
export interface Step {
  readonly deed: (typeof DEEDS)[number]
  readonly job: number
  readonly dice: number
  readonly wait: number
}

/** A job as the plain reading knows it: its whole-history state, and its edges judged one by one. */
interface Known {
  state: JobState
  edges: DependencyEdge[]
  /** Place in the log of the event that last brought it in from nothing or from an end. */
  entered: string
}

/** Reads a log the slow way: every end looks at every edge of every job. Ended jobs are kept. */
export class PlainBoard {
  readonly jobs: Map<string, Known> = new Map()

  apply(event: RecordedEvent): void {
    const id = jobIdOf(event.stream)
    const known = this.jobs.get(id)
    const state = evolve(known?.state, event as RecordedEvent & JobEvent)
    const enters = known === undefined || (known.state.phase === 'ended' && state.phase === 'waiting')
    const edges = enters ? [...state.dependsOn] : known.edges
    this.jobs.set(id, { state, edges, entered: enters ? event.position : known.entered })
    if (state.phase === 'ended' && known?.state.phase !== 'ended') this.#judgeEdgesTo(state)
  }

  /** An edge is met for good; a failed one acts for good too, but under `block` it waits for another round. */
  #judgeEdgesTo({ id, outcome }: JobState): void {
    for (const other of this.live()) {
      other.edges = other.edges.map((edge) => {
        const settled = edge.now === 'met' || (edge.now === 'failed' && edge.otherwise !== 'block')
        if (edge.id !== id || settled || outcome === undefined) return edge
        return { ...edge, now: judgeEdge(edge, outcome) }
      })
    }
  }

  live(): Known[] {
    return [...this.jobs.values()].filter(({ state }) => state.phase !== 'ended')
  }

  blocked(): string[] {
    return this.#ids(({ edges }) => edges.some(isOpen))
  }

  doomed(): string[] {
    return this.#ids(({ edges }) => edges.some((edge) => edge.now === 'failed' && edge.otherwise === 'cancel'))
  }

  leased(): string[] {
    return this.#ids(({ state }) => state.phase === 'leased')
  }

  /** Jobs that may run, most urgent first. */
  pending(now: number): { ready: string[]; suspects: string[]; scheduled: string[] } {
    const free = this.live().filter(
      ({ state, edges }) => state.phase === 'waiting' && !state.held && !edges.some(isOpen),
    )
    const due = free.filter(({ state }) => state.runAt <= now).sort(byUrgency)
    const idsOf = (jobs: readonly Known[]): string[] => jobs.map(({ state }) => state.id)
    return {
      ready: idsOf(due.filter(({ state }) => state.lost === 0)),
      suspects: idsOf(due.filter(({ state }) => state.lost > 0)),
      scheduled: idsOf(free.filter(({ state }) => state.runAt > now)).sort(),
    }
  }

  totals(): Record<string, Record<string, number>> {
    const totals: Record<string, Record<string, number>> = {}
    for (const { state } of this.jobs.values()) {
      totals[state.queue] ??= { waiting: 0, leased: 0, succeeded: 0, failed: 0, cancelled: 0 }
      const counts = totals[state.queue] as Record<string, number>
      const phase = state.outcome ?? (state.phase === 'leased' ? 'leased' : 'waiting')
      counts[phase] = (counts[phase] as number) + 1
    }
    return totals
  }

  #ids(wanted: (job: Known) => boolean): string[] {
    return this.live()
      .filter(wanted)
      .map(({ state }) => state.id)
      .sort()
  }
}

const byUrgency = (a: Known, b: Known): number =>
  a.state.priority - b.state.priority || a.state.since - b.state.since || (a.entered < b.entered ? -1 : 1)

/** Plays the steps: each decides on what those before it left; what is refused leaves nothing. */
export function historyOf(steps: readonly Step[]): RecordedEvent[] {
  const log: RecordedEvent[] = []
  const board = new PlainBoard()
  let now = NOW
  for (const [index, step] of steps.entries()) {
    now += step.wait
    const decision = decideOn(board, step, index, now)
    if (decision instanceof Error) continue
    for (const draft of decision) {
      const event = recorded(draft, board, log.length, now)
      log.push(event)
      board.apply(event)
    }
  }
  return log
}

function recorded({ stream, type, data }: Draft, board: PlainBoard, index: number, at: number): RecordedEvent {
  const revision = (board.jobs.get(jobIdOf(stream))?.state.revision ?? -1) + 1
  const position = String(index + 1).padStart(8, '0')
  return { stream, type, data, at, revision, position, id: `event-${index}` }
}

function decideOn(board: PlainBoard, { deed, job, dice }: Step, index: number, now: number): Decision {
  const all = [...board.jobs.values()]
  const stateOf = (id: string): JobState | undefined => board.jobs.get(id)?.state
  if (deed === 'enqueue' || all.length === 0) return enqueue(board, `j${index}`, job, dice, now)
  const target = pick(all, deed, job)
  if (target === undefined) return []
  const { state, edges } = target
  const { id } = state
  const token = state.lease?.token ?? ''
  switch (deed) {
    case 'lease':
      return edges.some(isOpen)
        ? []
        : decide.lease(id, state, { token: `t${index}`, workerId: 'w', now, leaseMs: 1_000 })
    case 'heartbeat':
      return decide.heartbeat(id, state, { token, expiresAt: now + 1_000, progress: dice })
    case 'finish':
      return decide.finish(id, state, token, undefined)
    case 'fail':
      return decide.fail(
        id,
        state,
        token,
        { cause: 'error', error: 'E', details: '{}', retryable: dice % 3 > 0 },
        { now, draw: dice / 12 },
      )
    case 'lose lease':
      return decide.loseLease(id, state, token, 'gone', now)
    case 'release':
      return decide.release(id, state, token)
    case 'snooze':
      return decide.release(id, state, token, { by: 'snooze', runAt: now + dice })
    case 'requeue':
      return decide.requeueOrFinish(id, state, token, dice % 3, undefined)
    case 'refuse':
      return decide.failUnstarted(id, state, undefined)
    case 'cancel':
      return decide.cancel(id, state, { by: 'operator' })
    case 'cancel a doomed one':
      return decide.cancel(id, state, { by: 'dependency' })
    case 'retry':
      return decide.retry(id, state, now, stateOf)
    case 'reschedule':
      return decide.reschedule(id, state, reschedule(dice, now), dice === 3 ? '2' : undefined)
    case 'promote':
      return decide.promote(id, state, now)
    case 'condemn':
      return decide.condemn(id, state, 'r')
    case 'expunge':
      return state.phase === 'failing'
        ? []
        : [{ stream: jobStream(id), type: 'Expunged', data: { rule: 'r', queuedAt: state.queuedAt, hashes: {} } }]
  }
}

const PHASE_FOR: Readonly<Partial<Record<Step['deed'], JobState['phase']>>> = {
  ...{ lease: 'waiting', reschedule: 'waiting', promote: 'waiting', refuse: 'waiting' },
  ...{ heartbeat: 'leased', finish: 'leased', fail: 'leased', 'lose lease': 'leased', release: 'leased' },
  ...{ snooze: 'leased', requeue: 'leased' },
  ...{ retry: 'ended', condemn: 'ended' },
}

/** The jobs that a deed can mean, so that most steps do something. */
function pick(all: readonly Known[], deed: Step['deed'], job: number): Known | undefined {
  const phase = PHASE_FOR[deed]
  const doomed = (known: Known): boolean =>
    known.state.phase !== 'ended' && known.edges.some((edge) => edge.now === 'failed' && edge.otherwise === 'cancel')
  const meant = all.filter((known) => {
    if (deed === 'cancel a doomed one') return doomed(known)
    if (deed === 'refuse' && known.state.run > 0) return false
    return phase === undefined || known.state.phase === phase
  })
  return meant[job % Math.max(1, meant.length)]
}

const CONDITIONS = ['succeeded', 'finished'] as const
const FALLBACKS = ['block', 'cancel', 'run'] as const

function enqueue(board: PlainBoard, id: string, job: number, dice: number, now: number): Decision {
  const others = [...board.jobs.keys()]
  const edgeTo = (other: string | undefined, number: number): DependencyEdge[] =>
    other === undefined
      ? []
      : [{ id: other, on: CONDITIONS[number % 2] as 'succeeded', otherwise: FALLBACKS[number % 3] as 'block' }]
  const first = others[job % Math.max(1, others.length)]
  const second = others[(job * 7 + 3) % Math.max(1, others.length)]
  const dependsOn = [
    ...(dice > 2 ? edgeTo(first, dice) : []),
    ...(dice > 7 && second !== first ? edgeTo(second, dice + 1) : []),
  ]
  const given = facts({
    queue: dice % 2 === 0 ? 'default' : 'other',
    priority: (dice % 3) - 1,
    maxAttempts: dice % 4 === 0 ? null : 2,
    backoff: { min: 10, max: 20, factor: 2, jitter: 0 },
    ...(dice % 5 === 1 && { runAt: now + 30 }),
    ...(dice === 6 && { held: true }),
    ...(dice === 7 && { name: 'n', channel: 'c', timeoutMs: 5 }),
    ...(dice === 8 && { retainMs: 5, retryOn: 'recoverable-only' }),
    ...(dependsOn.length > 0 && { dependsOn }),
  })
  return decide.enqueue({ id, facts: given, payload: undefined }, (name) => board.jobs.get(name)?.state, new Set())
}

function reschedule(dice: number, now: number): { priority?: number; held?: boolean; runAt?: number } {
  if (dice % 3 === 0) return { priority: dice - 6 }
  return dice % 3 === 1 ? { held: dice > 5 } : { runAt: now + dice - 5 }
}
