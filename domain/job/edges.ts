import { DependencyCycle } from '../rejection.js'
import type { DependencyEdge, JobOutcome } from './events.js'

/** What an ended dependency means for an edge: met, or never to be met in this round of the dependency. */
export function judgeEdge(edge: Pick<DependencyEdge, 'on'>, outcome: JobOutcome): 'met' | 'failed' {
  if (outcome === 'succeeded') return 'met'
  return edge.on === 'finished' && outcome === 'failed' ? 'met' : 'failed'
}

/** Whether an edge keeps its job from running. A failed edge with `run` does not. */
export function isOpen(edge: Pick<DependencyEdge, 'now' | 'otherwise'>): boolean {
  return edge.now === undefined || (edge.now === 'failed' && edge.otherwise !== 'run')
}

/**
 * Refuses a set of new jobs whose edges form a cycle; edges to jobs outside the set cannot. Returns the rejection, or
 * undefined. Depth-first search with an explicit stack: a chain of 100,000 jobs must not overflow the call stack.
 */
export function findCycle(jobs: ReadonlyMap<string, readonly string[]>): DependencyCycle | undefined {
  const done = new Set<string>()
  for (const root of jobs.keys()) {
    const path: string[] = []
    const onPath = new Set<string>()
    const stack: (string | undefined)[] = [root]
    while (stack.length > 0) {
      const id = stack.pop()
      if (id === undefined) {
        const left = path.pop() as string
        onPath.delete(left)
        done.add(left)
        continue
      }
      if (onPath.has(id)) return new DependencyCycle([...path.slice(path.indexOf(id)), id])
      if (done.has(id) || !jobs.has(id)) continue
      path.push(id)
      onPath.add(id)
      // undefined marks the way back out of this job.
      stack.push(undefined)
      for (const edge of jobs.get(id) ?? []) stack.push(edge)
    }
  }
  return undefined
}
