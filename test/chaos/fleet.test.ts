/**
 * Four processes on one file, killed, frozen past their leases and stopped at random: the same as `npm run chaos`, only short.
 * The printed seed repeats jobs and deeds (`npm run chaos -- --seed N`), though not the moments in which they meet.
 */
import { expect, test } from 'vitest'
import { runFleet } from './fleet/fleet.js'
import { renderReport } from './fleet/talk.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 600_000 }

test('a fleet that is killed, frozen and stopped loses nothing and does nothing twice', GUARD, async () => {
  const seed = Math.floor(Math.random() * 1_000_000)
  console.log(`seed ${seed}`)
  const report = await runFleet({
    ...{ seed, processes: 4, concurrency: 5, jobs: 1_200, perSecond: 60 },
    pace: { leastMs: 300, mostMs: 3_000 },
  })
  console.log(renderReport(report))
  expect(report.faults).toEqual([])
  // It would also be without a fault if nothing had happened.
  expect(report.deeds.killed).toBeGreaterThan(0)
  expect(report.survey['leases lost']).toBeGreaterThan(0)
})

test('one process alone, killed and started again, takes jobs strictly by priority and age', GUARD, async () => {
  const seed = Math.floor(Math.random() * 1_000_000)
  console.log(`seed ${seed}`)
  const report = await runFleet({
    // More than it can do: there is always a choice.
    ...{ seed, processes: 1, concurrency: 2, jobs: 500, perSecond: 100 },
    pace: { leastMs: 1_000, mostMs: 3_000 },
  })
  console.log(renderReport(report))
  expect(report.faults).toEqual([])
})
