import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { testLedger } from '../../adapters/testing/test-ledger.js'
import { InvalidOption } from '../../domain/errors.js'
import { JobRemoved, JobUnknown } from '../../domain/rejection.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { acts, RandomLife } from './random-life.js'

const note = defineJob({ type: 'note', handle: (text: string) => text })

/** Bodies that were erased since are erased for readers of the past, too. */
const withoutBodies = <Job extends object>(job: Job): object => {
  const { payload, result, errorMessage, erased, ...rest } = job as Record<string, unknown>
  return rest
}

describe('a ledger as of then', () => {
  test('says what it said then', async () => {
    await fc.assert(
      fc.asyncProperty(acts, async (all) => {
        const life = await RandomLife.begin()
        const { ledger } = life
        const pictures = []
        for (const act of all) {
          await life.live(act)
          await ledger.queues.stats()
          pictures.push({
            moment: life.events.at(-1),
            now: ledger.clock.now(),
            ids: [...life.ids],
            ...(await life.picture()),
          })
        }
        for (const { moment, now, ids, jobs, queues, triggers, workers } of pictures) {
          if (moment === undefined) continue
          const then = ledger.asOf({ position: moment.position, at: now })
          expect(await then.queues()).toEqual(queues)
          expect(await then.triggers()).toEqual(triggers)
          expect(await then.workers()).toEqual(workers)
          const told = await Promise.all(ids.map((id) => then.job(id)))
          expect(told.map(withoutBodies)).toEqual(jobs.map(withoutBodies))
          const { jobs: listed } = await then.list({ limit: 1_000 })
          expect(
            listed
              .filter(({ id }) => ids.includes(id))
              .map(({ id, state }) => [id, state])
              .sort(),
          ).toEqual(jobs.map(({ id, state }) => [id, state]).sort())
        }
        await ledger.close()
      }),
      { numRuns: 12 },
    )
  })

  test('by an instant: what was recorded by then, and nothing later', async () => {
    const ledger = await testLedger({ jobs: [note] })
    const began = ledger.clock.now()
    await ledger.advance('1h')
    await ledger.enqueue(note, 'a', { id: 'a', delay: '1h' })
    await ledger.advance('30m')
    const halfPast = ledger.clock.now()
    await ledger.advance('1h')
    expect((await ledger.status('a')).state).toBe('succeeded')
    const then = ledger.asOf(new Date(halfPast))
    expect(await then.job('a')).toMatchObject({ state: 'scheduled', payload: 'a' })
    expect((await then.history('a')).map(({ type }) => type)).toEqual(['Queued'])
    expect(await then.attempts('a')).toEqual([])
    expect(await then.queues()).toMatchObject({ default: { scheduled: 1, succeeded: 0 } })
    expect(await ledger.asOf(halfPast + 30 * 60_000 - 1).pending()).toEqual([])
    const before = ledger.asOf(new Date(began).toISOString())
    await expect(before.job('a')).rejects.toThrow(JobUnknown)
    expect(await before.list()).toEqual({ jobs: [] })
    expect(await ledger.asOf(0).queues()).toEqual({})
    await ledger.close()
  })

  test('does not say that a job was blocked which had run, where what it waited for was removed since', async () => {
    const backoff = { min: '1m', jitter: 'none' } as const
    const second = defineJob({
      ...{ type: 'second', backoff },
      handle: (_: null, { attempt }) => {
        if (attempt === 1) throw new Error('not yet')
      },
    })
    const ledger = await testLedger({ jobs: [note, second] })
    await ledger.enqueue(note, 'a', { id: 'a' })
    await ledger.enqueue(second, null, { id: 'b', dependsOn: ['a'] })
    await ledger.drain()
    const then = ledger.asOf(ledger.clock.now())
    await ledger.advance('2m')
    await ledger.remove('a')
    expect(await then.job('b')).toMatchObject({ state: 'scheduled', run: 1, blockedBy: [] })
    expect((await then.queues()).default).toMatchObject({ scheduled: 1, blocked: 0 })
    await ledger.close()
  })

  test('by the position of an event alone', async () => {
    const ledger = await testLedger({ jobs: [note] })
    const positions: string[] = []
    ledger.events$.subscribe(({ position, type }) => {
      if (type === 'Queued') positions.push(position)
    })
    await ledger.enqueue(note, 'a', { id: 'a' })
    await ledger.advance('1m')
    await ledger.enqueue(note, 'b', { id: 'b', delay: '1m' })
    await ledger.advance('2m')
    const then = ledger.asOf({ position: positions[1] as string })
    expect(await then.moment()).toEqual({ position: positions[1], at: Date.UTC(2026, 0, 1, 0, 1) })
    expect(await then.job('b')).toMatchObject({ state: 'scheduled' })
    expect(await ledger.asOf({ position: '' }).list()).toEqual({ jobs: [] })
    await ledger.close()
  })

  test('pending jobs in the order in which they would have been taken, as often as one asks', async () => {
    const ledger = await testLedger({ jobs: [note] })
    let last = ''
    ledger.events$.subscribe(({ type, position }) => {
      if (type === 'Queued') last = position
    })
    for (const [id, priority] of [
      ['a', 0],
      ['b', -1],
      ['c', 1],
    ] as const)
      await ledger.enqueue(note, id, { id, priority })
    await ledger.enqueue(note, 'd', { id: 'd', dependsOn: ['a'] })
    const queued = last
    await ledger.drain()
    const then = ledger.asOf({ position: queued })
    for (let again = 0; again < 2; again += 1) {
      expect((await then.pending()).map(({ id, state }) => [id, state])).toEqual([
        ['b', 'ready'],
        ['a', 'ready'],
        ['c', 'ready'],
      ])
    }
    expect((await then.pending({ limit: 1, queue: 'default' })).map(({ id }) => id)).toEqual(['b'])
    expect(await then.pending({ type: 'other' })).toEqual([])
    expect(await ledger.asOf(ledger.clock.now()).pending()).toEqual([])
    await ledger.close()
  })

  test('a job that was removed since is not in it', async () => {
    const ledger = await testLedger({ jobs: [note] })
    await ledger.enqueue(note, 'a', { id: 'a' })
    await ledger.drain()
    const then = ledger.asOf(ledger.clock.now())
    await ledger.advance('1s')
    await ledger.remove('a')
    await expect(then.job('a')).rejects.toThrow(JobRemoved)
    expect(await then.list()).toEqual({ jobs: [] })
    await ledger.close()
  })

  test.each([
    ['yesterday', 'an instant'],
    [Number.NaN, 'an instant'],
    [{ position: 5 }, 'asOf.moment.position'],
    [{ position: '', at: 'noon' }, 'asOf.moment.at'],
    [[], 'asOf.moment'],
  ])('refuses %j at once', async (moment, told) => {
    const ledger = await testLedger({ jobs: [note] })
    expect(() => ledger.asOf(moment as never)).toThrow(told)
    await ledger.close()
  })

  test('refuses what has not come, when it is asked', async () => {
    const ledger = await testLedger({ jobs: [note] })
    for (const moment of [ledger.clock.now() + 1, { position: '9999999999999999' }, { position: 'x' }]) {
      await expect(ledger.asOf(moment).queues()).rejects.toThrow(InvalidOption)
    }
    await ledger.close()
  })
})
