/** An occurrence that has had its job, though nobody can see that job any more. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { scenario } from './scenario.js'

const tick = defineJob({ type: 'tick', handle: (_: unknown) => null })

scenario([59], 'the job of an occurrence that was removed from the log is not made again', async (world) => {
  const ledger = await world.open({ jobs: [tick] })
  await ledger.start()
  const at = world.clock.now() + 1_000
  await ledger.triggers.add({ id: 'once', kind: 'at', when: at, job: tick, payload: 1 })
  await world.clock.advance('2s')
  const [job] = await ledger.triggers.jobs('once')
  expect(job).toMatchObject({ state: 'succeeded' })
  await ledger.remove(job?.id as string)
  const missed: unknown[] = []
  ledger.events$.subscribe(({ type, data }) => type === 'TriggerMissed' && missed.push(data))
  const again = { id: 'once', kind: 'at', when: at, job: tick, payload: 2 } as const
  expect(await ledger.triggers.add(again)).toMatchObject({ outcome: 'created' })
  await world.clock.advance('10s')
  expect(missed).toMatchObject([{ reason: 'duplicate', occurrence: at }])
  expect(await ledger.triggers.list()).toEqual([])
  expect(await ledger.triggers.jobs('once')).toEqual([])
  expect(world.log.filter(({ level }) => level === 'error')).toEqual([])
})
