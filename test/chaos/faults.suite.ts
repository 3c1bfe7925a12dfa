/**
 * 2,000 jobs on three runtimes in processes of their own, while something happens to their store: then the log alone must show
 * that nothing was lost, that no leases overlap and nothing ended twice; and the processes must have said what happened.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Deed } from './fleet/deeds.js'
import { LEASE_MS } from './fleet/deeds.js'
import { type Report, runFleet } from './fleet/fleet.js'
import type { Ground } from './fleet/ground.js'
import { renderReport } from './fleet/talk.js'

/** A server of the test's own. */
export interface Stage {
  readonly ground: Ground
  /** Way number `n`, where there are several. Resolves when it is gone. */
  stop(n: number): Promise<void>
  start(): Promise<void>
  /** Every connection there is. */
  cut(): Promise<void>
  end(): Promise<void>
}

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

const JOBS = 2_000
const RATE = 400
const BACK = 'the store can be reached again'

/** Past its lease, and past the time for which the others leave it alone after that. */
const FROZEN_MS = LEASE_MS + 5_000 + 1_500

function* deeds(...first: Deed[]): Generator<Deed, never> {
  yield* first
  // The run is over by then.
  for (;;) yield { afterMs: 1_000_000, what: 'freeze', forMs: 0 }
}

const nothing = (): Iterator<Deed, never> => deeds()
const oneFreeze = (): Iterator<Deed, never> => deeds({ afterMs: 1_000, what: 'freeze', forMs: FROZEN_MS })

type Trouble = (stage: Stage, did: (what: string) => void, signal: AbortSignal) => Promise<void>

async function run(
  setUp: () => Promise<Stage>,
  trouble: Trouble,
  done: (n: number) => Iterator<Deed, never> = nothing,
): Promise<Report> {
  const seed = Math.floor(Math.random() * 1_000_000)
  const stage = await setUp()
  try {
    const report = await runFleet({
      ...{ seed, processes: 3, concurrency: 10, jobs: JOBS, perSecond: RATE, ground: stage.ground, deeds: done },
      pace: { leastMs: 0, mostMs: 0 },
      trouble: (signal, did) => trouble(stage, did, signal),
    })
    console.log(`seed ${seed}\n${renderReport(report)}`)
    expect(report.faults.slice(0, 20)).toEqual([])
    expect(report.survey.jobs).toBeGreaterThanOrEqual(JOBS * 0.9)
    return report
  } finally {
    await stage.end()
  }
}

/** `server`: its name. */
export function faultsSuite(server: string, setUp: () => Promise<Stage>): void {
  describe(`2,000 jobs on three runtimes and ${server}`, () => {
    it('that is stopped and started again, and again', GUARD, async () => {
      const report = await run(setUp, async (stage, did) => {
        for (const n of [0, 1]) {
          await sleep(1_000)
          await stage.stop(n)
          did('stopped')
          await sleep(1_200)
          await stage.start()
        }
      })
      expect(report.said[BACK]).toBeGreaterThanOrEqual(2 * 3)
    })

    it('whose connections are cut, again and again', GUARD, async () => {
      const report = await run(setUp, async (stage, did) => {
        for (let n = 0; n < 12; n += 1) {
          await sleep(300)
          await stage.cut()
          did('cut')
        }
      })
      expect(report.said[BACK]).toBeGreaterThanOrEqual(3)
    })

    it('while one of them is frozen past its leases and wakes up', GUARD, async () => {
      const report = await run(
        setUp,
        async () => {},
        (n) => (n === 0 ? oneFreeze() : nothing()),
      )
      expect(report.deeds.frozen).toBe(1)
      expect(report.survey['leases lost']).toBeGreaterThan(0)
    })
  })
}
