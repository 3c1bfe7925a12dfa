/** Boards made from histories, and all that can be read off them. */
import fc from 'fast-check'
import type { RecordedEvent } from '../../../domain/event.js'
import type { JobState } from '../../../domain/job/evolve.js'
import { JobBoard } from '../../../projections/job-board.js'
import { fromRow, toRow } from '../../../projections/job-row.js'
import type { SavedStats } from '../../../projections/queue-stats.js'
import { NOW } from '../../domain/support/jobs.js'
import type { Step } from './history.js'
import { DEEDS } from './history.js'

const step: fc.Arbitrary<Step> = fc.record({
  deed: fc.constantFrom(
    ...DEEDS,
    'enqueue',
    'enqueue',
    'enqueue',
    'lease',
    'lease',
    'lease',
    'finish',
    'fail',
    'retry',
  ),
  job: fc.nat(20),
  dice: fc.nat(11),
  wait: fc.constantFrom(0, 0, 1, 15),
})

/** What `historyOf` plays. */
export const steps: fc.Arbitrary<Step[]> = fc.array(step, { maxLength: 120, size: 'max' })

export function boardOf(events: readonly RecordedEvent[], board: JobBoard = new JobBoard()): JobBoard {
  for (const event of events) board.apply(event, event.at)
  return board
}

/** What a restart finds in the views. */
export function restored(saved: JobBoard, now: number): JobBoard {
  const board = new JobBoard()
  const rows = [...saved.jobs].map((job) => toRow(job, saved.graph)).sort((a, b) => (a.place < b.place ? -1 : 1))
  for (const row of rows) board.restore(fromRow(row.state), now)
  board.restoreStats(JSON.parse(JSON.stringify(saved.stats.toSave())) as SavedStats)
  return board
}

/** All that follows from a board at one moment. Empties its pending index. */
export function readingOf(board: JobBoard, now: number): object {
  board.pending.promoteDue(now)
  const scheduled = [...board.pending.scheduled()].map(({ id }) => id).sort()
  return {
    blocked: ids([...board.jobs].filter(({ id }) => board.graph.isBlocked(id))),
    doomed: [...board.doomed.keys()].sort(),
    leased: ids(board.leased.values()),
    pending: { ready: drain(board, false), suspects: drain(board, true), scheduled },
    totals: board.stats.toJSON(),
  }
}

const ids = (jobs: Iterable<JobState>): string[] => [...jobs].map(({ id }) => id).sort()

function drain({ pending }: JobBoard, suspects: boolean): string[] {
  const taken: string[] = []
  for (
    let job = pending.take(pending.lanes, { suspects });
    job !== undefined;
    job = pending.take(pending.lanes, { suspects })
  )
    taken.push(job.id)
  return taken
}

/** When every backoff of a history is over. */
export const endOf = (events: readonly RecordedEvent[]): number => (events.at(-1)?.at ?? NOW) + 12
