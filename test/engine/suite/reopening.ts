import { describe, expect, it } from 'vitest'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend } from '../support.js'
import { leaseElsewhere, next, rejection, World } from '../support.js'

function notes() {
  const order: string[] = []
  const job = defineJob({
    type: 'note',
    maxAttempts: 2,
    backoff: { min: '10s', jitter: 'none' },
    handle: (text: string) => {
      order.push(text)
      if (text === 'bad') throw new Error('bad')
      return text
    },
  })
  return { job, order }
}

export function reopeningSuite(backend: Backend): void {
  describe('a ledger opened again', () => {
    it('runs what was waiting, in the order it would have had', async () => {
      await using world = await World.create(backend)
      const { job, order } = notes()
      const before = await world.open()
      // Ids and times tell nothing of the order here: only the log does.
      const texts = Array.from({ length: 20 }, (_, index) => `n${(index * 7) % 20}`)
      for (const text of texts) await before.enqueue(job, text, { id: text })
      await before.enqueue(job, 'urgent', { id: 'urgent', priority: -1 })
      await before.close()
      const after = await world.open({ jobs: [job] })
      await after.start({ concurrency: 1 })
      await Promise.all(texts.map((id) => after.result(id)))
      expect(order).toEqual(['urgent', ...texts])
    })

    it('keeps run times, attempts, and the waits between attempts', async () => {
      await using world = await World.create(backend)
      const { job, order } = notes()
      const before = await world.open({ jobs: [job] })
      await before.start()
      await before.enqueue(job, 'later', { id: 'later', delay: '1h' })
      const retried = next(before, 'bad', 'Retried')
      await before.enqueue(job, 'bad', { id: 'bad' })
      await retried
      await before.close()
      const after = await world.open({ jobs: [job] })
      expect(await after.status('bad')).toMatchObject({ state: 'scheduled', attempt: 1, maxAttempts: 2 })
      await after.start()
      await world.clock.advance('9s')
      expect(order).toEqual(['bad'])
      expect(await rejection(world.pass(after.result('bad')))).toMatchObject({ code: 'JOB_FAILED' })
      expect(order).toEqual(['bad', 'bad'])
      expect((await after.status('later')).state).toBe('scheduled')
      await world.clock.advance('1h')
      expect(await after.result('later')).toBe('later')
    })

    it('keeps edges that are open, that failed, and that are to be cancelled or run', async () => {
      await using world = await World.create(backend)
      const { job } = notes()
      const before = await world.open({ jobs: [job] })
      await before.start()
      await before.enqueue(job, 'open', { id: 'open', delay: '1h' })
      await before.enqueue(job, 'bad', { id: 'bad', maxAttempts: 1 })
      await before.enqueue(job, 'd', { id: 'both', dependsOn: ['open', 'bad'] })
      await before.enqueue(job, 'd', { id: 'doomed', dependsOn: [{ id: 'open', otherwise: 'cancel' }] })
      await before.enqueue(job, 'd', { id: 'eager', dependsOn: [{ id: 'open', otherwise: 'run' }, 'bad'] })
      await rejection(before.result('bad'))
      await before.close()
      const after = await world.open()
      expect((await after.status('both')).blockedBy).toEqual(['open', 'bad'])
      const doom = next(after, 'doomed', 'Cancelled')
      await after.cancel('open')
      await doom
      expect((await after.status('both')).blockedBy).toEqual(['open', 'bad'])
      expect((await after.status('eager')).blockedBy).toEqual(['bad'])
      await after.close()
      const again = await world.open({ jobs: [defineJob({ type: 'note', handle: (text: string) => text })] })
      await again.start()
      await again.retry('bad')
      expect(await again.result('eager')).toBe('d')
      expect((await again.status('both')).blockedBy).toEqual(['open'])
      await again.retry('open')
      expect(await again.result('both')).toBe('d')
    })

    it('takes back leases of those who went away in the meantime', async () => {
      await using world = await World.create(backend)
      const { job } = notes()
      const before = await world.open()
      const leased = next(before, 'a', 'Leased')
      await before.enqueue(job, 'a', { id: 'a' })
      const expiresAt = world.clock.now() + 30_000
      await leaseElsewhere(await world.store(), world.clock, 'a', { token: 'foreign', expiresAt })
      await leased
      await before.close()
      await world.clock.advance('1h')
      const after = await world.open({ jobs: [job] })
      await after.start()
      expect(await after.result('a')).toBe('a')
      expect(await after.status('a')).toMatchObject({ run: 2, attempt: 1 })
    })

    it('still refuses an id that is taken by a job that ended long ago', async () => {
      await using world = await World.create(backend)
      const { job } = notes()
      const before = await world.open({ jobs: [job] })
      await before.start()
      await (await before.enqueue(job, 'a', { id: 'a' })).result()
      await before.close()
      const after = await world.open()
      expect((await after.enqueue(job, 'a', { id: 'a' })).outcome).toBe('duplicate')
      expect(await rejection(after.enqueue(job, 'b', { id: 'a' }))).toMatchObject({ code: 'JOB_EXISTS' })
      expect(await after.result('a')).toBe('a')
      await after.enqueue(job, 'b', { id: 'b', dependsOn: ['a'] })
      expect((await after.status('b')).state).toBe('ready')
      expect(await rejection(after.cancel('a'))).toMatchObject({ code: 'JOB_ENDED' })
      await after.retry('a')
      expect(await after.status('a')).toMatchObject({ state: 'ready', run: 1 })
      const counts = { ready: 2, succeeded: 0 }
      expect((await after.queues.stats()).default).toMatchObject(counts)
    })
  })
}
