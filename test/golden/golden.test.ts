/**
 * Logs of every past version still mean what they meant. A file here is frozen: when today's code reads it otherwise, the code
 * is wrong, or wants an upcaster (`domain/upcast.ts`). A new version gets a folder of its own.
 * States may have more fields than when they were kept, never other values.
 */
import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import type { Queued } from '../../domain/job/events.js'
import { JOB_EVENT_TYPES } from '../../domain/job/events.js'
import type { TriggerEventType } from '../../domain/trigger/events.js'
import { TRIGGER_EVENT_TYPES } from '../../domain/trigger/events.js'
import type { Schedule } from '../../domain/trigger/schedule.js'
import { TRIGGER_KINDS } from '../../domain/trigger/schedule.js'
import { upcast } from '../../domain/upcast.js'
import { besides, meaningOf, readEvents, readState, scenarios } from './reading.js'

/** What version 1 could write: a type that came later has its files in a later folder. */
const V1_JOB_TYPES = [
  'Queued',
  'Leased',
  'Heartbeat',
  'Released',
  'Failed',
  'Retried',
  'Finished',
  'Cancelled',
  'Rescheduled',
  'Expunged',
] as const
const V1_WORKER_TYPES = ['WorkerRegistered', 'WorkerBeat', 'WorkerDraining', 'WorkerStopped', 'WorkerLost'] as const

function compare(log: readonly RecordedEvent[], kept: object): void {
  expect(besides(meaningOf(log), kept)).toMatchObject(kept)
}

function expectLawful(log: readonly RecordedEvent[]): void {
  const next = new Map<string, number>()
  let before: RecordedEvent | undefined
  for (const event of log) {
    expect(event.revision).toBe(next.get(event.stream) ?? 0)
    next.set(event.stream, event.revision + 1)
    if (before !== undefined) {
      expect(event.position > before.position).toBe(true)
      expect(event.at).toBeGreaterThanOrEqual(before.at)
    }
    before = event
  }
  expect(next.size).toBeGreaterThan(0)
}

describe('a log of version 1', () => {
  const v1 = scenarios('v1')

  test.each(v1)('%s means what it meant', (scenario) => {
    compare(readEvents(scenario), readState(scenario))
  })

  test.each(v1)(
    '%s is lawful: one position after the other, revisions without a gap, times that do not fall',
    (scenario) => expectLawful(readEvents(scenario)),
  )

  test('needs no upcast: each event is given back as it is', () => {
    for (const event of v1.flatMap(readEvents)) expect(upcast(event)).toBe(event)
  })

  test('holds every type that version 1 could write, and nothing else', () => {
    const held = new Set(v1.flatMap(readEvents).map(({ type }) => type))
    expect([...held].sort()).toEqual([...V1_JOB_TYPES, ...V1_WORKER_TYPES].sort())
  })

  test('is in types that are there still', () => {
    expect(JOB_EVENT_TYPES).toEqual(expect.arrayContaining([...V1_JOB_TYPES]))
  })

  test('shows each optional fact both given and left out', () => {
    const facts = v1.flatMap(readEvents)
    const optional: Readonly<Record<string, readonly string[]>> = {
      Queued: ['channel', 'name', 'priority', 'runAt', 'held', 'dependsOn', 'codeVersion'],
      Leased: ['codeVersion'],
      Heartbeat: ['progress'],
      Failed: ['token'],
      Retried: ['job'],
      Finished: ['error'],
      Cancelled: ['reason'],
      Released: ['runAt'],
      Rescheduled: ['runAt', 'priority', 'held'],
      WorkerRegistered: ['queues', 'codeVersion'],
    }
    for (const [type, fields] of Object.entries(optional)) {
      const given = facts.filter((event) => event.type === type)
      for (const field of fields) {
        const has = new Set(given.map(({ data }) => field in data))
        expect([type, field, [...has].sort()]).toEqual([type, field, [false, true]])
      }
    }
  })

  test('is read with its bodies, and an erased one with its hash', () => {
    const events = readEvents('v1/expunged')
    const expunged = events.filter(({ type }) => type === 'Expunged')
    expect(expunged).toHaveLength(3)
    for (const { stream, data } of expunged) {
      const hashes = Object.entries((data as { hashes: Record<string, string> }).hashes)
      expect(hashes.length).toBeGreaterThan(0)
      for (const [revision, hash] of hashes) {
        const body = events.find((event) => event.stream === stream && event.revision === Number(revision))?.body
        expect(body).toEqual({ hash: Buffer.from(hash, 'hex') })
      }
    }
    const [, , queued] = readEvents('v1/first-try')
    expect(JSON.parse((queued as { body: { content: string } }).body.content)).toEqual({
      month: '2026-11',
      rows: [1, 2.5, null],
    })
  })
})

/** Version 1 with the types and facts that came later: each in files of its own, and read by the same rules. */
describe('a log of version 2', () => {
  const v2 = scenarios('v2')

  test.each(v2)('%s means what it meant', (scenario) => {
    compare(readEvents(scenario), readState(scenario))
  })

  test.each(v2)('%s is lawful, and needs no upcast', (scenario) => {
    expectLawful(readEvents(scenario))
    for (const event of readEvents(scenario)) expect(upcast(event)).toBe(event)
  })

  test('shows each type and each optional fact that is new', () => {
    const facts: Readonly<Record<string, readonly string[]>> = {
      WorkerRegistered: ['pool', 'runtime'],
      WorkerBeat: ['position'],
      WorkerPaused: ['reason'],
      WorkerResumed: [],
      WorkerStopped: ['by'],
      QueuePaused: ['reason'],
      QueueResumed: [],
      LimitsChanged: ['concurrency'],
      Queued: ['concurrency', 'unique', 'trigger', 'debounced', 'chain'],
      Claimed: ['until', 'rest'],
      Counted: ['refused', 'rest'],
      Taken: ['rest'],
      BatchPart: [],
      BatchSubmitted: ['rest'],
      Condemned: ['leaves'],
      StreamsRemoved: ['ids'],
      Rescheduled: ['ended'],
    }
    const held = v2.flatMap(readEvents)
    for (const [type, fields] of Object.entries(facts)) {
      const given = held.filter((event) => event.type === type)
      expect([type, given.length > 0]).toEqual([type, true])
      for (const field of fields) expect([field, given.some(({ data }) => field in data)]).toEqual([field, true])
    }
  })

  const told = scenarios('v2').flatMap(readEvents)

  test('holds every type of a trigger, and shows each optional fact both given and left out', () => {
    const request = ['nextAt', 'source', 'bytes', 'manual', 'chain']
    const what = ['options', 'defaults', 'misfire', 'debounce', 'nextAt']
    const optional: Readonly<Record<TriggerEventType, readonly string[]>> = {
      TriggerAdded: what,
      TriggerUpdated: [...what, 'keepsPayload'],
      TriggerPaused: ['reason'],
      TriggerResumed: ['nextAt'],
      TriggerFired: ['source', 'nextAt', 'collected', 'rest'],
      TriggerMissed: ['source', 'by', 'count', 'more', 'nextAt', 'closes', 'jobId', 'error', 'chain'],
      DebounceOpened: request,
      DebounceCollected: request,
      TriggerRemoved: ['jobId', 'rest'],
    }
    expect(Object.keys(optional).sort()).toEqual([...TRIGGER_EVENT_TYPES].sort())
    for (const [type, fields] of Object.entries(optional)) {
      const given = told.filter((event) => event.type === type)
      for (const field of fields) {
        const has = new Set(given.map(({ data }) => field in data))
        expect([type, field, [...has].sort()]).toEqual([type, field, [false, true]])
      }
    }
  })

  test('knows every shape of schedule, every reason for which one was missed, and whoever may ask for a firing', () => {
    const said = (type: string, field: string): unknown[] => {
      const facts = told.filter((event) => event.type === type).map(({ data }) => data as Record<string, unknown>)
      return [...new Set(facts.map((data) => data[field]))].sort()
    }
    const kinds = said('TriggerAdded', 'schedule').map((schedule) => (schedule as Schedule).kind)
    expect([...new Set(kinds)].sort()).toEqual(
      TRIGGER_KINDS.filter((kind) => kind !== 'weekly' && kind !== 'monthly').toSorted(),
    )
    expect(said('TriggerMissed', 'reason')).toEqual([
      ...['duplicate', 'late', 'loop', 'rate-limited', 'refused', 'skipped'],
    ])
    expect(said('TriggerFired', 'by')).toEqual(['client', 'event', 'hand', 'time', 'webhook'])
    expect(said('TriggerRemoved', 'by')).toEqual(['bad-trigger', 'done', 'operator'])
  })

  test('wraps payload and document of a job that a trigger made for an event, and of no other', () => {
    const queued = told.filter(({ type, data }) => type === 'Queued' && 'trigger' in data)
    const isWrapped = (event: RecordedEvent): boolean => (event.data as Queued).trigger?.event === true
    const contents = (events: readonly RecordedEvent[]): object[] =>
      events.map(({ body }) => Object.keys(JSON.parse((body as { content: string }).content) ?? {}))
    const wrapped = contents(queued.filter(isWrapped))
    expect(wrapped.length).toBeGreaterThan(5)
    for (const keys of wrapped) expect(keys).toEqual(['payload', 'event'])
    for (const keys of contents(queued.filter((event) => !isWrapped(event)))) expect(keys).not.toContain('event')
  })
})

describe('the comparison', () => {
  const kept = readState('v1/retries')
  const events = readEvents('v1/retries')
  const verdict = (log: readonly RecordedEvent[]): (() => void) => {
    return () => compare(log, kept)
  }

  test('notices a value that is read otherwise', () => {
    const late = events.map((event) => (event.type === 'Leased' ? { ...event, at: event.at + 1 } : event))
    expect(verdict(late)).toThrow()
    const bare = events.map((event) => (event.type === 'Failed' ? { ...event, body: undefined } : event))
    expect(verdict(bare)).toThrow()
  })

  test('notices what is there no more, or is there although it was not', () => {
    expect(verdict(events.slice(0, -1))).toThrow()
    const more = readEvents('v1/cancelled').map((event) => ({ ...event, position: `9${event.position}` }))
    expect(verdict([...events, ...more.filter(({ stream }) => stream.startsWith('worker-'))])).toThrow()
  })
})
