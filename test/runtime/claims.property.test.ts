/** Jobs that are unique by a key: whoever comes, whenever, and whatever becomes of the one before. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { brokenClaims } from './support/claims-laws.js'
import type { Act, Day, Wish } from './support/claims-world.js'
import { spend } from './support/claims-world.js'

const wish: fc.Arbitrary<Wish> = fc.record({
  type: fc.constantFrom(0, 0, 0, 1),
  key: fc.constantFrom(0, 0, 1),
  windowMs: fc.constantFrom(undefined, undefined, undefined, 10),
  replace: fc.constantFrom(false, false, true),
  after: fc.constantFrom(undefined, undefined, undefined, 0, 2),
})

const act: fc.Arbitrary<Act> = fc.record({
  runtime: fc.constantFrom(0, 1),
  verb: fc.constantFrom('enqueue', 'enqueue', 'enqueue', 'run', 'run', 'cancel', 'retry', 'retry', 'remove', 'wait'),
  wishes: fc.array(wish, { minLength: 1, maxLength: 3 }),
  back: fc.nat(4),
  ms: fc.constantFrom(0, 3, 10),
  pause: fc.constantFrom(0, 0, 1, 3, 12),
})

const acts = fc.array(act, { minLength: 1, maxLength: 80, size: 'max' })
const lags = fc.tuple(
  fc.array(fc.constantFrom(0, 1, 20), { maxLength: 40, size: 'max' }),
  fc.array(fc.constantFrom(0, 1, 20), { maxLength: 40, size: 'max' }),
)

describe('unique keys, whatever happens', { timeout: 0 }, () => {
  test('are held by the one job that has not ended, or within its window; nobody is told that a free key is taken', async () => {
    const tally = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(acts, lags, async (all, late) => {
        const day = await spend(all, late)
        expect(brokenClaims(day)).toEqual([])
        expect(day.skipped).toBe(0)
        count(day, tally)
      }),
      { numRuns: 150 },
    )
    // The property is worth what it reaches.
    const reached = [
      'created',
      'duplicate',
      'replaced',
      'JOB_NOT_UNIQUE',
      'JOBS_REMOVED',
      'JOB_REMOVED',
      'CLAIMED_AGAIN',
    ]
    expect(reached.filter((name) => !tally.has(name))).toEqual([])
  })
})

describe('a key whose holder was removed', () => {
  const one: Wish = { type: 0, key: 0, windowMs: undefined, replace: false, after: undefined }
  const does = (verb: Act['verb'], given: Partial<Act> = {}): Act => ({
    ...{ runtime: 0, verb, wishes: [one], back: 1, ms: 0, pause: 100, ...given },
  })
  const gone = [does('enqueue'), does('cancel'), does('remove')]
  const outcomes = ({ answers }: Day): (string | undefined)[] => answers.map(({ enqueued }) => enqueued?.[0]?.outcome)

  test('is free', async () => {
    expect(outcomes(await spend([...gone, does('enqueue')], [[], []]))).toEqual(['created', 'created'])
  })

  test.each([
    ['one runtime', 0],
    ['two runtimes', 1],
  ] as const)('goes to the first of several who come at once to %s', async (_, runtime) => {
    const rush = [0, runtime, 0, runtime].map((at) => does('enqueue', { runtime: at as 0 | 1, pause: 0 }))
    const day = await spend([...gone, ...rush, does('wait')], [[], []])
    expect(brokenClaims(day)).toEqual([])
    expect(outcomes(day).sort()).toEqual(['created', 'created', 'duplicate', 'duplicate', 'duplicate'])
  })

  test('within its window is not free, and is when that is over', async () => {
    const window = { wishes: [{ ...one, windowMs: 10 }] }
    const again = does('enqueue')
    const acts = [
      does('enqueue', window),
      ...gone.slice(1),
      does('wait', { ms: 9 }),
      again,
      does('wait', { ms: 1 }),
      again,
    ]
    expect(outcomes(await spend(acts, [[], []]))).toEqual(['created', 'duplicate', 'created'])
  })
})

function count({ log, answers, refusals }: Day, tally: Map<string, number>): void {
  const add = (name: string): unknown => tally.set(name, (tally.get(name) ?? 0) + 1)
  for (const { outcome } of answers.flatMap(({ enqueued = [] }) => enqueued)) add(outcome)
  for (const code of refusals) add(code)
  for (const { events } of log) {
    if (events.some(({ type }) => type === 'JobsRemoved')) add('JOBS_REMOVED')
    if (events[0]?.type === 'Retried' && events.some(({ type }) => type === 'Claimed')) add('CLAIMED_AGAIN')
  }
}
