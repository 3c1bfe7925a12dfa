/**
 * The journal on its worst days: rivals, unknown and refused commits, memory that lags behind, broken connections.
 * Everything that happens follows from the values drawn: `{ seed, path }` of a failure, given to `fc.assert` beside
 * `numRuns`, plays the same day again.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Fault, Forecast, Weather } from './support/faulty-store.js'
import { brokenLaws } from './support/journal-laws.js'
import type { Ask, Outcome } from './support/journal-world.js'
import { JOBS, play, VERBS } from './support/journal-world.js'

const FAULTS: readonly Fault[] = ['none', 'none', 'rival', 'lost answer', 'lost request', 'late', 'rejected']

const ask: fc.Arbitrary<Ask> = fc.record({
  runtime: fc.constantFrom(0, 0, 1),
  verb: fc.constantFrom(...VERBS, 'enqueue', 'lease', 'finish'),
  job: fc.nat(JOBS.length - 1),
  other: fc.nat(JOBS.length - 1),
  token: fc.nat(1),
  pause: fc.constantFrom(0, 0, 0, 1, 2, 12),
})

const weather: fc.Arbitrary<Weather> = fc.record({
  fault: fc.constantFrom(...FAULTS),
  turns: fc.nat(4),
  rivalry: fc.nat(11),
  throws: fc.nat(15).map((chance) => chance === 0),
})

const forecast: fc.Arbitrary<Forecast> = fc.record({
  appends: fc.array(weather, { maxLength: 150, size: 'max' }),
  reads: fc.array(fc.nat(3), { maxLength: 100, size: 'max' }),
  lags: fc.array(fc.constantFrom(0, 1, 20), { maxLength: 60, size: 'max' }),
  overlap: fc.constantFrom(undefined, { calls: 2, from: 1 }, { calls: 2, from: 3 }, { calls: 5, from: 1 }),
})

const day = fc.record({
  asks: fc.array(ask, { minLength: 1, maxLength: 200, size: 'max' }),
  forecasts: fc.tuple(forecast, forecast),
})

/** How often each thing happened, over all days. */
class Tally {
  readonly counts: Record<string, number> = {}

  add(name: string): void {
    this.counts[name] = (this.counts[name] ?? 0) + 1
  }

  addAll({ cases, runtimes }: Outcome): void {
    for (const { answer } of cases) {
      if (answer !== undefined) this.add('no' in answer ? `no: ${(answer.no as { code: string }).code}` : 'yes')
    }
    for (const { feed, store } of runtimes) {
      if (feed.skipped > 0) this.add('skipped')
      if (store.mostAtOnce > 1) this.add('overlap')
      if (store.mostAtOnce > (store.capabilities.overlap?.calls ?? 1)) this.add('too much at once')
    }
  }
}

describe('a journal, whatever happens', { timeout: 0 }, () => {
  test('tells yes and no only as the log says, in order, once, and never leaves anybody waiting', async () => {
    const tally = new Tally()
    await fc.assert(
      fc.asyncProperty(day, async ({ asks, forecasts }) => {
        const outcome = await play(asks, forecasts)
        tally.addAll(outcome)
        expect(brokenLaws(outcome)).toEqual([])
      }),
      { numRuns: 60 },
    )
    // The property is worth what it reaches.
    const codes = [
      'STORE_UNAVAILABLE',
      'JOB_EXISTS',
      'JOB_NOT_PENDING',
      'LEASE_LOST',
      'JOB_ENDED',
      'JOB_NOT_ENDED',
      'DEPENDENCY_CYCLE',
      'NOT_NOW',
    ]
    expect(tally.counts).toMatchObject(
      Object.fromEntries(
        ['yes', 'overlap', ...codes.map((code) => `no: ${code}`)].map((name) => [name, expect.any(Number)]),
      ),
    )
    expect(tally.counts.skipped).toBeUndefined()
    expect(tally.counts['too much at once']).toBeUndefined()
  })

  test('does the very same again from the same seed', async () => {
    const [{ asks, forecasts }] = fc.sample(day, { seed: 7, numRuns: 1 }) as [
      { asks: Ask[]; forecasts: [Forecast, Forecast] },
    ]
    const [first, second] = [await play(asks, forecasts), await play(asks, forecasts)]
    expect(first.log.length).toBeGreaterThan(0)
    expect(second.log).toEqual(first.log)
    expect(second.cases.map(({ answer }) => String(JSON.stringify(answer)))).toEqual(
      first.cases.map(({ answer }) => String(JSON.stringify(answer))),
    )
  })
})
