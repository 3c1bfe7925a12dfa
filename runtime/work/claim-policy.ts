/**
 * Who claims which job first, where several runtimes share a log. Pure, and only a courtesy: who is wrong about it wastes an
 * append, whether a job is ours is decided by the log.
 *
 * Weighted rendezvous hashing (Thaler and Ravishankar 1998; the weights as by Schindelhauer and Schomaker 2005): every
 * runtime scores every job, the highest score goes first. When one leaves, only its own jobs move.
 */
import { hash, mix } from '../../domain/hash.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import type { Lane, Rank } from '../../projections/pending-index.js'

/** A runtime as far as claiming goes. */
export interface Member {
  readonly runtime: string
  /** Runs at once. */
  readonly slots: number
}

interface Seat extends Member {
  readonly seed: number
}

/** The runtimes whose workers serve a lane, in a fixed order. Workers without a runtime wait at a desk: they do not race. */
export function membersOf(workers: Iterable<WorkerState>, lane: Lane): Member[] {
  const slots = new Map<string, number>()
  for (const worker of workers) {
    const { runtime, concurrency } = worker
    if (runtime !== undefined && serves(worker, lane)) slots.set(runtime, (slots.get(runtime) ?? 0) + concurrency)
  }
  return [...slots]
    .map(([runtime, each]) => ({ runtime, slots: each }))
    .sort((a, b) => (a.runtime < b.runtime ? -1 : 1))
}

/** All that have a worker which takes jobs, each counted alike. */
export function runtimesOf(workers: Iterable<WorkerState>): Member[] {
  const runtimes = new Set<string>()
  for (const { runtime, status } of workers) if (runtime !== undefined && status === 'active') runtimes.add(runtime)
  return [...runtimes].sort().map((runtime) => ({ runtime, slots: 1 }))
}

/** What a runtime waits for each rank before its own (ms): twice the p99 from append to event, within these. */
const STEP_MIN = 50
const STEP_MAX = 1_000
export const stepFor = (lag: number): number => Math.min(STEP_MAX, Math.max(STEP_MIN, Math.ceil(2 * lag)))

function serves({ status, types, queues, channels }: WorkerState, lane: Lane): boolean {
  return (
    status === 'active' &&
    types.includes(lane.type) &&
    (queues?.includes(lane.queue) ?? true) &&
    (channels?.includes(lane.channel) ?? true)
  )
}

/** The place of `own` among the members, by job: 0 claims at once. Not a member: after all of them. Budget 0.3 us for four. */
export function ranking(members: readonly Member[], own: string): (key: string) => Rank {
  const seats = members.map((member): Seat => ({ ...member, seed: hash(member.runtime) }))
  const mine = seats.find(({ runtime }) => runtime === own)
  const others = seats.filter((seat) => seat !== mine)
  if (mine === undefined) return () => toRank(others.length)
  return (key) => {
    const hashed = hash(key)
    const score = scoreOf(hashed, mine)
    let rank = 0
    for (const other of others) if (scoreOf(hashed, other) > score) rank += 1
    return toRank(rank)
  }
}

const toRank = (rank: number): Rank => Math.min(rank, 3) as Rank

/** -slots / ln(u), u in (0, 1) from the job and the member. */
function scoreOf(hashed: number, { seed, slots }: Seat): number {
  return -slots / Math.log((mix(hashed ^ seed) + 0.5) / 2 ** 32)
}
