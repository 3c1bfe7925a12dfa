/** What a pool or a process allows at most, whatever its jobs say. */
import { expect } from 'vitest'
import type { StartOptions, TypeOverrideOptions } from '../../runtime/start-options.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import { factsOf, never, next, rejection } from '../engine/support.js'
import { ended, failing } from './acts.js'
import { scenario } from './scenario.js'

interface Said {
  readonly job?: EnqueueOptions
  readonly ceilings?: StartOptions['ceilings']
  readonly override?: TypeOverrideOptions
}

/** What is said by the job, the pool and the process; how many attempts that comes to, and whether the last hit a ceiling. */
const ATTEMPTS: readonly (readonly [said: Said, attempts: number, ceiling?: number])[] = [
  [{ job: { maxAttempts: 4 }, ceilings: { maxAttempts: 2 } }, 2, 2],
  [{ job: { maxAttempts: 2 }, ceilings: { maxAttempts: 4 } }, 2],
  [{ job: { maxAttempts: 3 }, ceilings: { maxAttempts: 3 } }, 3],
  [{ job: { maxAttempts: null }, ceilings: { maxAttempts: 3 } }, 3, 3],
  [{ ceilings: { maxAttempts: 1 } }, 1, 1],
  [{ job: { maxAttempts: 4 }, override: { maxAttempts: 2 } }, 2, 2],
  [{ job: { maxAttempts: 2 }, override: { maxAttempts: 4 } }, 2],
  [{ job: { maxAttempts: 2 }, override: { maxAttempts: null } }, 2],
  [{ override: { maxAttempts: 3 } }, 3],
  [{ job: { maxAttempts: 9 }, ceilings: { maxAttempts: 3 }, override: { maxAttempts: 2 } }, 2, 2],
  [{ job: { maxAttempts: 9 }, ceilings: { maxAttempts: 2 }, override: { maxAttempts: 3 } }, 2, 2],
  [{ ceilings: { maxAttempts: 2 }, override: { maxAttempts: null } }, 2, 2],
]

scenario(
  [39, 'C12', '002.83'],
  'attempts are the least of what the job, the pool and the process allow; who ended them is on record',
  async (world) => {
    for (const [n, [{ job = {}, ceilings, override }, attempts, ceiling]] of ATTEMPTS.entries()) {
      const type = failing()
      const ledger = await world.open({
        jobs: [type] as readonly JobDefinition[],
        ...(override !== undefined && { overrides: { failing: override } }),
      })
      await ledger.start(ceilings === undefined ? {} : { ceilings })
      const { id } = await ledger.enqueue(type, null, job)
      expect(await ended(world, ledger, id), `${n}`).toMatchObject({ code: 'JOB_FAILED' })
      const failed = await factsOf(ledger, id, 'Failed')
      expect(failed, `${n}`).toHaveLength(attempts)
      expect(failed.at(-1)?.ceiling, `${n}`).toBe(ceiling)
      expect(failed.slice(0, -1).filter((facts) => 'ceiling' in facts)).toEqual([])
      await world.close(ledger)
    }
  },
)

scenario([39, 'C12'], 'a ceiling belongs to where a job runs: elsewhere it may go on', async (world) => {
  const type = failing(undefined, { maxAttempts: 5 })
  const narrow = await world.open({ jobs: [type] as readonly JobDefinition[] })
  await narrow.start({ ceilings: { maxAttempts: 2 } })
  const { id } = await narrow.enqueue(type, null)
  expect(await narrow.status(id)).toMatchObject({ maxAttempts: 5 })
  await ended(world, narrow, id)
  expect(await narrow.status(id)).toMatchObject({ state: 'failed', attempt: 2, maxAttempts: 5 })
  await world.close(narrow)
  const wide = await world.open({ jobs: [type] as readonly JobDefinition[] })
  await wide.start()
  await wide.retry(id)
  await ended(world, wide, id)
  expect(await factsOf(wide, id, 'Failed')).toHaveLength(7)
})

/** When a run that never ends is timed out (ms), or undefined: never. */
const TIMEOUTS: readonly (readonly [said: Said, ms: number | undefined])[] = [
  [{ job: { timeout: '10s' }, ceilings: { timeout: '4s' } }, 4_000],
  [{ job: { timeout: '4s' }, ceilings: { timeout: '10s' } }, 4_000],
  [{ job: { timeout: null }, ceilings: { timeout: '4s' } }, 4_000],
  [{ ceilings: { timeout: '4s' } }, 4_000],
  [{ job: { timeout: '10s' }, override: { timeout: '4s' } }, 4_000],
  [{ job: { timeout: '4s' }, override: { timeout: null } }, 4_000],
  [{ job: { timeout: null }, override: { timeout: '4s' } }, 4_000],
  [{ override: { timeout: '4s' } }, 4_000],
  [{ override: { timeout: null } }, undefined],
  [{ job: { timeout: '10s' }, ceilings: { timeout: '5s' }, override: { timeout: '4s' } }, 4_000],
]

scenario(
  [39, 38, 'C12', 'C13'],
  'the time for a run is the least of what the job, the pool and the process allow, and the handler is told',
  async (world) => {
    for (const [n, [{ job = {}, ceilings, override }, ms]] of TIMEOUTS.entries()) {
      let deadline: Date | undefined
      const hanging = defineJob({
        type: 'hanging',
        maxAttempts: 1,
        handle: (_: null, ctx) => {
          deadline = ctx.deadline
          return never()
        },
      })
      const ledger = await world.open({
        jobs: [hanging] as readonly JobDefinition[],
        ...(override !== undefined && { overrides: { hanging: override } }),
      })
      await ledger.start(ceilings === undefined ? {} : { ceilings })
      const began = world.clock.now()
      const { id } = await ledger.enqueue(hanging, null, job)
      await world.clock.advance(ms === undefined ? '16m' : '20s')
      const failed = await factsOf(ledger, id, 'Failed')
      if (ms === undefined) {
        expect(failed).toEqual([])
        expect(deadline).toBeUndefined()
      } else {
        expect(failed, `${n}`).toMatchObject([{ at: began + ms, cause: 'timeout' }])
        expect(deadline?.getTime(), `${n}`).toBe(began + ms)
      }
      await world.close(ledger, { drain: 0, timeout: 0 })
    }
  },
)

scenario([39], 'also a timeout that the type computes for each run is cut', async (world) => {
  const hanging = defineJob({ type: 'hanging', maxAttempts: 1, timeout: () => '1m', handle: (_: null) => never() })
  const ledger = await world.open({ jobs: [hanging] as readonly JobDefinition[] })
  await ledger.start({ ceilings: { timeout: '7s' } })
  const began = world.clock.now()
  const { id } = await ledger.enqueue(hanging, null)
  const failed = next(ledger, id, 'Failed')
  await world.pass(rejection(ledger.result(id)))
  expect((await failed).at).toBe(began + 7_000)
})

scenario([39, 'C28'], 'what the process says of a type is the default of what is enqueued there', async (world) => {
  const type = defineJob({ type: 'a', maxAttempts: 5, timeout: '5s' })
  const overrides = { a: { maxAttempts: 2, timeout: '1s' } } as const
  const ledger = await world.open({ jobs: [type], overrides, queues: { q: { maxAttempts: 9, timeout: '9s' } } })
  const said = async (options?: EnqueueOptions) => {
    const { data } = (await ledger.history((await ledger.enqueue(type, null, options)).id))[0] as { data: object }
    return data
  }
  expect(await said()).toMatchObject({ maxAttempts: 2, timeoutMs: 1_000 })
  expect(await said({ queue: 'q' })).toMatchObject({ maxAttempts: 2, timeoutMs: 1_000 })
  expect(await said({ maxAttempts: 7, timeout: '7s' })).toMatchObject({ maxAttempts: 7, timeoutMs: 7_000 })
})
