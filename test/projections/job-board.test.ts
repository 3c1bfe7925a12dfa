import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IllegalEvent } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { JobEventType } from '../../domain/job/events.js'
import { JOB_EVENT_TYPES, jobStream } from '../../domain/job/events.js'
import { nextPhase } from '../../domain/job/lifecycle.js'
import { JobBoard } from '../../projections/job-board.js'
import { fromRow, toRow } from '../../projections/job-row.js'
import { NOW } from '../domain/support/jobs.js'
import { boardOf, endOf, readingOf, restored, steps } from './support/boards.js'
import type { Step } from './support/history.js'
import { historyOf, PlainBoard } from './support/history.js'

const histories = steps.map(historyOf)
const RUNS = { numRuns: 300 }

function plainReading(events: readonly RecordedEvent[], now: number): object {
  const board = new PlainBoard()
  for (const event of events) board.apply(event)
  return {
    blocked: board.blocked(),
    doomed: board.doomed(),
    leased: board.leased(),
    pending: board.pending(now),
    totals: board.totals(),
  }
}

describe('the board of jobs', { timeout: 0 }, () => {
  test('says what the plain reading of the log says: order, blocked, doomed, leased, totals', () => {
    const reached = new Set<string>()
    fc.assert(
      fc.property(histories, (events) => {
        const now = endOf(events)
        const reading = readingOf(boardOf(events), now)
        expect(reading).toEqual(plainReading(events, now))
        note(reading, reached)
      }),
      RUNS,
    )
    // The property is worth what it reaches.
    expect([...reached].sort()).toEqual(['blocked', 'doomed', 'leased', 'ready', 'scheduled', 'suspects'])
  })

  test('is the same when it goes on from a checkpoint taken anywhere', () => {
    fc.assert(
      fc.property(histories, fc.nat(), (events, cut) => {
        const now = endOf(events)
        const place = cut % (events.length + 1)
        const saved = boardOf(events.slice(0, place))
        const board = boardOf(events.slice(place), restored(saved, events[place - 1]?.at ?? NOW))
        const whole = boardOf(events)
        expect(statesOf(board)).toEqual(statesOf(whole))
        expect(readingOf(board, now)).toEqual(readingOf(whole, now))
      }),
      RUNS,
    )
  })

  test('marks every job whose row a checkpoint has to write again, and no other is needed', () => {
    fc.assert(
      fc.property(histories, fc.nat(), (events, cut) => {
        const place = cut % (events.length + 1)
        const rows = new Map<string, string>()
        const board = boardOf(events.slice(0, place))
        save(board, rows)
        boardOf(events.slice(place), board)
        save(board, rows)
        for (const job of board.jobs) expect(rows.get(job.id)).toBe(toRow(job, board.graph).state)
        const live = [...rows.values()].filter((state) => fromRow(state).phase !== 'ended')
        expect(live.length).toBe(board.size)
      }),
      RUNS,
    )
  })

  test('reads a row back as the job it was, whatever is default in it', () => {
    fc.assert(
      fc.property(histories, (events) => {
        const board = boardOf(events)
        for (const job of board.jobs) {
          const row = toRow(job, board.graph)
          expect(fromRow(row.state)).toEqual({ ...job, dependsOn: board.graph.edgesNow(job) })
          expect(row).toMatchObject({ id: job.id, type: job.type, queue: job.queue, channel: job.channel })
        }
      }),
      { numRuns: 100 },
    )
  })

  test('gives a job the same row for life, through all its rounds', () => {
    fc.assert(
      fc.property(histories, (events) => {
        const places = new Map<string, string>()
        const board = new JobBoard()
        for (const event of events) {
          const change = board.apply(event, event.at)
          if (change === undefined) continue
          const { id, place } = toRow(change.after, board.graph)
          expect(place).toBe(places.get(id) ?? place)
          places.set(id, place)
        }
        expect(new Set(places.values()).size).toBe(places.size)
      }),
      { numRuns: 100 },
    )
  })

  test('refuses an event that does not fit its stream, and is then unchanged', () => {
    const types = fc.constantFrom(...JOB_EVENT_TYPES, 'Unheard', 'toString')
    fc.assert(
      fc.property(histories, fc.nat(), types, (events, number, type) => {
        const board = boardOf(events)
        const jobs = [...board.jobs]
        const job = jobs[number % Math.max(1, jobs.length)]
        if (job === undefined || nextPhase(job.phase, type as JobEventType) !== undefined) return
        const odd = {
          ...(events[0] as RecordedEvent),
          stream: jobStream(job.id),
          type,
          data: {},
          revision: job.revision + 1,
        }
        expect(() => board.apply(odd, NOW)).toThrow(IllegalEvent)
        expect(readingOf(board, endOf(events))).toEqual(plainReading(events, endOf(events)))
      }),
      { numRuns: 100 },
    )
  })

  test('takes no notice of what is erased of a job it has let go of, nor of other streams', () => {
    const [queued, cancelled] = historyOf(
      (['enqueue', 'cancel'] as const).map((deed) => ({ deed, job: 0, dice: 0, wait: 0 })),
    ) as [RecordedEvent, RecordedEvent]
    const board = boardOf([queued, cancelled])
    const erased = { ...cancelled, type: 'Expunged', data: { rule: 'r', hashes: {} }, revision: 2 }
    expect(board.apply(erased, NOW)).toBeUndefined()
    expect(board.apply({ ...erased, stream: 'worker-w' }, NOW)).toBeUndefined()
    expect(board.stats.toJSON()).toMatchObject({ default: { cancelled: 1 } })
  })
})

describe('a job doomed by a failed edge under cancel', () => {
  test('stays doomed when the dependency is sent round again and succeeds: a failed edge acts at once', () => {
    const played: Step[] = [
      { deed: 'enqueue', job: 0, dice: 0, wait: 0 },
      // Dice 4: on succeeded, otherwise cancel.
      { deed: 'enqueue', job: 0, dice: 4, wait: 0 },
      { deed: 'cancel', job: 0, dice: 0, wait: 0 },
      { deed: 'retry', job: 0, dice: 0, wait: 0 },
      { deed: 'lease', job: 0, dice: 0, wait: 0 },
      { deed: 'finish', job: 0, dice: 0, wait: 0 },
    ]
    const board = boardOf(historyOf(played))
    expect([...board.doomed]).toEqual([['j1', 'j0']])
    expect(board.graph.isBlocked('j1')).toBe(true)
  })
})

function note(reading: object, reached: Set<string>): void {
  const { blocked, doomed, leased, pending } = reading as Record<string, string[]> & {
    pending: Record<string, string[]>
  }
  for (const [name, found] of Object.entries({ blocked, doomed, leased, ...pending }))
    if ((found as string[]).length > 0) reached.add(name)
}

/** States without edges: a row keeps how those stand now, the board keeps that in its graph. */
function statesOf(board: JobBoard): Record<string, object> {
  return Object.fromEntries([...board.jobs].map(({ dependsOn: _, ...state }) => [state.id, state]).sort())
}

function save(board: JobBoard, rows: Map<string, string>): void {
  for (const job of board.takeDirty().values()) rows.set(job.id, toRow(job, board.graph).state)
}
