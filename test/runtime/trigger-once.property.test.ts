/**
 * Triggers that several runtimes see to at once: whatever their clocks say, whatever the store loses, and whoever stops dead
 * between a firing and its job. `{ seed, path }` of a failure, given to `fc.assert`, plays the same day again.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Fault, Weather } from './support/faulty-store.js'
import { brokenTriggers } from './support/triggers-laws.js'
import type { Act, Climate, Day } from './support/triggers-world.js'
import { spend } from './support/triggers-world.js'

const FAULTS: readonly Fault[] = ['none', 'none', 'none', 'lost answer', 'lost request', 'late', 'rejected']

const weather: fc.Arbitrary<Weather> = fc.record({
  fault: fc.constantFrom(...FAULTS),
  turns: fc.nat(4),
  rivalry: fc.constant(0),
  throws: fc.nat(15).map((chance) => chance === 0),
})

const climate: fc.Arbitrary<Climate> = fc.record({
  appends: fc.array(weather, { maxLength: 40, size: 'max' }),
  reads: fc.array(fc.nat(3), { maxLength: 40, size: 'max' }),
  lags: fc.array(fc.constantFrom(0, 1, 20), { maxLength: 40, size: 'max' }),
  skew: fc.constantFrom(0, 0, -3_000, -700, 1, 900, 4_000),
  dies: fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
})

const act: fc.Arbitrary<Act> = fc.record({
  runtime: fc.nat(2),
  type: fc.constantFrom(undefined, 'tick', 'tock', 'update'),
  jobs: fc.constantFrom(1, 1, 1, 1, 1, 1, 1, 80),
  ms: fc.constantFrom(0, 1, 250, 1_000, 2_500, 11_000),
})

const acts = fc.array(act, { minLength: 4, maxLength: 12 })
const asleep = fc.constantFrom(0, 0, 0, 20_000)
const climates = fc.array(climate, { minLength: 1, maxLength: 3 })

describe.each([
  ['in one append', true],
  ['in two appends', false],
])('firing and job %s', { timeout: 0 }, (_, atomicGroups) => {
  test('are one for each occurrence, each request and each event of the log, whoever dies', async () => {
    const tally = new Map<string, number>()
    await fc.assert(
      fc.asyncProperty(acts, climates, asleep, async (all, each, ms) => {
        const day = await spend(all, each, { atomicGroups, asleep: ms })
        expect(brokenTriggers(day)).toEqual([])
        count(day, tally)
      }),
      { numRuns: 40 },
    )
    // The property is worth what it reaches.
    const reached = ['dead', 'TriggerFired', 'TriggerMissed late', 'TriggerMissed loop', 'TriggerUpdated', 'collected']
    expect(reached.filter((name) => !tally.has(name))).toEqual([])
    expect(tally.has('completed')).toBe(!atomicGroups)
  })
})

function count({ log, dead, halfDone }: Day, tally: Map<string, number>): void {
  const add = (name: string): unknown => tally.set(name, (tally.get(name) ?? 0) + 1)
  for (let each = 0; each < dead; each += 1) add('dead')
  for (const { type, data, stream } of log) {
    const { reason, collected } = data as { reason?: string; collected?: number }
    add(reason === undefined ? type : `${type} ${reason}`)
    if (collected !== undefined) add('collected')
    if (type === 'Queued' && halfDone.includes(stream)) add('completed')
  }
}
