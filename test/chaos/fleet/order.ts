/**
 * One process alone takes jobs strictly by priority, then age: read from the log, in which no other may have worked. A job
 * that became ready just before another was leased may have been too late for that decision, so it counts after a second.
 */
import type { RecordedEvent } from '../../../domain/event.js'
import type { JobEvent } from '../../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../../domain/job/events.js'
import type { JobState } from '../../../domain/job/evolve.js'
import { evolve } from '../../../domain/job/evolve.js'
import { upcast } from '../../../domain/upcast.js'

const LATE_MS = 1_000

interface Waiting {
  readonly job: JobState
  readonly readyAt: number
}

/**
 * Each lease that another job should have had. Those that wait for others, have lost a lease or share a concurrency key go by
 * rules of their own.
 */
export function orderFaults(events: Iterable<RecordedEvent>): string[] {
  const states = new Map<string, JobState>()
  const ready = new Map<string, Waiting>()
  const faults: string[] = []
  for (const recorded of events) {
    if (!isJobStream(recorded.stream)) continue
    const id = jobIdOf(recorded.stream)
    const event = upcast(recorded) as RecordedEvent & JobEvent
    const before = states.get(id)
    // What is said of an ended job, but for its next round.
    if (before === undefined && event.type !== 'Queued' && event.type !== 'Retried') continue
    const after = evolve(before, event)
    // As the engine does: one that is sent round again takes its place in the log by that.
    if (after.phase === 'ended') states.delete(id)
    else states.set(id, after)
    ready.delete(id)
    if (event.type === 'Leased' && before !== undefined && isInLine(before)) {
      const first = firstBefore(before, ready.values(), event.at)
      if (first !== undefined) faults.push(`job ${id}: is leased before ${first.id}, which is more urgent`)
    }
    const isReady = after.phase === 'waiting' && !after.held && after.dependsOn.length === 0
    if (isReady && isInLine(after)) ready.set(id, { job: after, readyAt: Math.max(event.at, after.runAt) })
  }
  return faults
}

const isInLine = ({ lost, rare }: JobState): boolean => lost === 0 && rare?.concurrency === undefined

function firstBefore(leased: JobState, ready: Iterable<Waiting>, at: number): JobState | undefined {
  for (const { job, readyAt } of ready) {
    if (readyAt + LATE_MS < at && isMoreUrgent(job, leased)) return job
  }
  return undefined
}

function isMoreUrgent(a: JobState, b: JobState): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority
  return a.since === b.since ? a.position < b.position : a.since < b.since
}
