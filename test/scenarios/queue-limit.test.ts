/** How many jobs of a queue a process may run at once: what it was configured to, and what an operator says since. */
import { expect } from 'vitest'
import { rejection } from '../engine/support.js'
import { standing } from './acts.js'
import { scenario } from './scenario.js'

scenario(
  [55],
  'a limit of a queue that is set, changed and taken away holds for what begins after it, across restarts, and is on record',
  async (world) => {
    const work = standing('work', { queue: 'slow' })
    const ledger = await world.open({ jobs: [work.job], queues: { slow: { concurrency: 3 } } })
    const ada = ledger.as({ user: 'ada', reason: 'the disk is slow' })
    await ada.queues.limit('slow', { concurrency: 1 })
    await ada.queues.limit('slow', { concurrency: 1 })
    await ledger.start({ concurrency: 10 })
    await ledger.enqueueMany(Array.from({ length: 8 }, () => ({ job: work.job, payload: null })))
    await work.started(0)
    expect((await ledger.queues.stats()).slow).toMatchObject({ running: 1, limit: 1 })
    await ledger.queues.limit('slow', { concurrency: 2 })
    await work.started(1)
    expect((await ledger.queues.stats()).slow).toMatchObject({ running: 2, limit: 2 })
    // Beyond what this process was configured to it says nothing.
    await ledger.queues.limit('slow', { concurrency: 9 })
    await work.started(2)
    expect((await ledger.queues.stats()).slow).toMatchObject({ running: 3, limit: 9 })
    await ledger.queues.limit('slow', { concurrency: 1 })
    for (let n = 0; n < 3; n += 1) work.finish(n)
    await work.started(3)
    expect(work.count).toBe(4)
    const later = await world.open({ jobs: [work.job] })
    expect((await later.queues.stats()).slow).toMatchObject({ running: 1, ready: 4, limit: 1 })
    await later.queues.limit('slow', { concurrency: null })
    await later.queues.limit('empty', { concurrency: 4 })
    expect((await later.queues.stats()).slow).not.toHaveProperty('limit')
    expect((await later.queues.stats()).empty).toMatchObject({ ready: 0, limit: 4 })
    await work.started(5)
    const events: unknown[] = []
    for await (const page of (await world.store()).readStream('queue-slow')) {
      for (const { type, data, metadata } of page) events.push([type, data, metadata])
    }
    expect(events.slice(0, 2)).toEqual([
      ['LimitsChanged', { concurrency: 1 }, { actor: 'ada', reason: 'the disk is slow' }],
      ['LimitsChanged', { concurrency: 2 }, undefined],
    ])
    expect(events).toHaveLength(5)
    for (let n = 3; n < 8; n += 1) work.finish(n)
  },
)

scenario([55], 'a limit that makes no sense is refused by its name', async (world) => {
  const ledger = await world.open()
  const limit = (options: unknown): Promise<void> => ledger.queues.limit('q', options as never)
  for (const concurrency of [0, -1, 1.5, '3', undefined]) {
    expect(await rejection(limit({ concurrency }))).toMatchObject({
      ...{ code: 'INVALID_OPTION', option: 'queues.limit.concurrency' },
    })
  }
  expect(await rejection(limit({ concurrency: 1, rate: 2 }))).toMatchObject({ option: 'queues.limit.rate' })
  expect(await rejection(limit(3))).toMatchObject({ option: 'queues.limit' })
})
