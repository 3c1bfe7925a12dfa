/** Jobs that share a key: never more of them run at once than may, whoever leases them and whatever ends them. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Taken } from '../../domain/claim/events.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { JobEvent, KeyLimit, Leased, Queued } from '../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { Act, Climate, Day } from './support/keys-world.js'
import { spend } from './support/keys-world.js'

const keys: fc.Arbitrary<KeyLimit | undefined> = fc.constantFrom(
  undefined,
  { key: 'a', limit: 1 },
  { key: 'a', limit: 1 },
  { key: 'b', limit: 2 },
  { key: 'b', limit: 2 },
  { key: 'b', limit: 3 },
)

const act: fc.Arbitrary<Act> = fc.record({
  runtime: fc.nat(2),
  verb: fc.constantFrom('lease', 'lease', 'lease', 'lease', 'finish', 'release', 'lose', 'fail', 'cancel', 'retry'),
  job: fc.nat(7),
  pause: fc.constantFrom(0, 0, 0, 1, 2, 12),
})

const climate: fc.Arbitrary<Climate> = fc.record({
  lags: fc.array(fc.constantFrom(0, 1, 20), { maxLength: 60, size: 'max' }),
  appends: fc.array(
    fc.record({
      fault: fc.constantFrom('none', 'none', 'none', 'lost answer', 'lost request', 'rejected'),
      turns: fc.nat(3),
      rivalry: fc.constant(0),
      throws: fc.constant(false),
    }),
    { maxLength: 20 },
  ),
})

describe.each([
  ['in one append', true],
  ['in two appends', false],
])('concurrency keys, lease and place %s, whatever happens', { timeout: 0 }, (_, atomicGroups) => {
  test('are never held by more runs than may, and have room again when all have ended', async () => {
    const tally = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(
        fc.array(keys, { minLength: 3, maxLength: 8 }),
        fc.array(act, { minLength: 1, maxLength: 80, size: 'max' }),
        fc.tuple(climate, climate, climate),
        async (jobs, acts, climates) => {
          const day = await spend(jobs, acts, climates, atomicGroups)
          expect(broken(day.log, atomicGroups)).toEqual([])
          if (atomicGroups) expect(day.log.flatMap((event) => unclaimed(day.log, event))).toEqual([])
          else expect(day.log.flatMap((event) => tooEarly(day.log, event))).toEqual([])
          expect(day.stuck).toEqual([])
          count(day, tally)
        },
      ),
      { numRuns: 150 },
    )
    // The property is worth what it reaches.
    const reached = ['leased', 'KEY_AT_LIMIT', 'JOB_NOT_PENDING', 'LEASE_LOST', 'two at once', 'passed on']
    expect(reached.filter((name) => !tally.has(name))).toEqual([])
  })
})

/**
 * Found out from the log alone: who runs of each key when one more begins. Where a place is taken in an append of its own, a
 * run with a higher limit may take its place later and begin earlier.
 */
function broken(log: readonly RecordedEvent[], atomicGroups: boolean): string[] {
  const jobs = new Map<string, JobState>()
  const found: string[] = []
  for (const event of log) {
    if (!isJobStream(event.stream)) continue
    const id = jobIdOf(event.stream)
    jobs.set(id, evolve(jobs.get(id), event as RecordedEvent & JobEvent))
    const limited = jobs.get(id)?.rare?.concurrency
    if (event.type !== 'Leased' || limited === undefined) continue
    const running = [...jobs.values()].filter(({ rare, lease }) => lease && rare?.concurrency?.key === limited.key)
    const limits = atomicGroups ? [limited.limit] : running.map(({ rare }) => rare?.concurrency?.limit ?? 0)
    if (running.length > Math.max(...limits))
      found.push(`${running.map((job) => job.id).join()} run at once of ${limited.key}`)
  }
  return found
}

/** In one append its claim comes right after it; else it comes before. */
function unclaimed(log: readonly RecordedEvent[], leased: RecordedEvent): string[] {
  if (leased.type !== 'Leased' || !isKeyed(log, leased)) return []
  const { token } = leased.data as Leased
  const claims = log.filter(({ type, position }) => type === 'Taken' && position > leased.position)
  const isIn = claims.some(({ data }) => (data as Taken).holders.includes(token))
  return isIn ? [] : [`${token} of ${leased.stream} claims nothing`]
}

function tooEarly(log: readonly RecordedEvent[], leased: RecordedEvent): string[] {
  if (leased.type !== 'Leased' || !isKeyed(log, leased)) return []
  const { token } = leased.data as Leased
  const claims = log.filter(({ type, position }) => type === 'Taken' && position < leased.position)
  const isIn = claims.some(({ data }) => (data as Taken).holders.at(-1) === token)
  return isIn ? [] : [`${token} of ${leased.stream} has no place yet`]
}

const isKeyed = (log: readonly RecordedEvent[], { stream }: RecordedEvent): boolean =>
  log.some((event) => event.stream === stream && (event.data as Queued).concurrency !== undefined)

function count({ log, refusals, leased }: Day, tally: Map<string, number>): void {
  const add = (name: string): unknown => tally.set(name, (tally.get(name) ?? 0) + 1)
  if (leased > 0) add('leased')
  for (const code of refusals) add(code)
  for (const { type, data } of log) {
    if (type === 'Taken' && (data as Taken).holders.length > 1) add('two at once')
  }
  const keyed = log.filter(({ type, data }) => type === 'Queued' && (data as Queued).concurrency?.limit === 1).length
  if (keyed > 1 && log.filter(({ type, stream }) => type === 'Taken' && stream === 'limit-a').length > 1)
    add('passed on')
}
