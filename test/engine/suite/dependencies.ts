import { describe, expect, it } from 'vitest'
import type { Ledger } from '../../../runtime/ledger.js'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend } from '../support.js'
import { next, rejection, typesOf, World } from '../support.js'

type Outcome = 'succeeded' | 'failed' | 'cancelled'
type Fate = 'runs' | 'blocked' | 'cancelled'

const base = defineJob({
  type: 'base',
  maxAttempts: 1,
  handle: (outcome: Outcome) => {
    if (outcome === 'failed') throw new Error('as told')
    return `was ${outcome}`
  },
})
const dependent = defineJob({ type: 'dependent', handle: (_: unknown, ctx) => ctx.dependencies() })

function fateOf(on: 'finished' | 'succeeded', otherwise: 'block' | 'cancel' | 'run', outcome: Outcome): Fate {
  const met = outcome === 'succeeded' || (on === 'finished' && outcome === 'failed')
  if (met || otherwise === 'run') return 'runs'
  return otherwise === 'block' ? 'blocked' : 'cancelled'
}

const TABLE = (['finished', 'succeeded'] as const).flatMap((on) =>
  (['block', 'cancel', 'run'] as const).flatMap((otherwise) =>
    (['succeeded', 'failed', 'cancelled'] as const).map((outcome) => {
      return [on, otherwise, outcome, fateOf(on, otherwise, outcome)] as const
    }),
  ),
)

/** Brings the job `base` to its end. */
async function end(ledger: Ledger, outcome: Outcome): Promise<void> {
  if (outcome === 'cancelled') await ledger.cancel('base')
  else await ledger.start()
  await ledger.result('base').catch(() => {})
  if (outcome === 'cancelled') await ledger.start()
}

async function expectFate(world: World, ledger: Ledger, fate: Fate, outcome: Outcome): Promise<void> {
  await world.clock.advance('1m')
  const status = await ledger.status('after')
  if (fate === 'runs') {
    const result = outcome === 'succeeded' ? { result: 'was succeeded' } : {}
    expect(status).toMatchObject({ state: 'succeeded', blockedBy: [], result: [{ id: 'base', outcome, ...result }] })
  } else if (fate === 'blocked') {
    expect(status).toMatchObject({ state: 'blocked', blockedBy: ['base'], run: 0 })
    expect((await ledger.queues.stats()).default).toMatchObject({ blocked: 1, ready: 0 })
  } else {
    expect(status).toMatchObject({ state: 'cancelled', run: 0, reason: expect.stringContaining('base') })
    expect(await rejection(ledger.result('after'))).toMatchObject({ code: 'JOB_CANCELLED' })
  }
}

export function dependenciesSuite(backend: Backend): void {
  describe('dependencies', () => {
    it.each(TABLE)('on %s, otherwise %s: a dependency that %s means %s', async (on, otherwise, outcome, fate) => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [base, dependent] })
      await ledger.enqueue(base, outcome, { id: 'base' })
      await ledger.enqueue(dependent, null, { id: 'after', dependsOn: [{ id: 'base', on, otherwise }] })
      expect(await ledger.status('after')).toMatchObject({ state: 'blocked', blockedBy: ['base'] })
      await end(ledger, outcome)
      await expectFate(world, ledger, fate, outcome)
    })

    it.each(TABLE)(
      'on %s, otherwise %s, enqueued later: one that had %s means %s',
      async (on, otherwise, outcome, fate) => {
        await using world = await World.create(backend)
        const ledger = await world.open({ jobs: [base, dependent] })
        await ledger.enqueue(base, outcome, { id: 'base' })
        await end(ledger, outcome)
        await ledger.enqueue(dependent, null, { id: 'after', dependsOn: [{ id: 'base', on, otherwise }] })
        await expectFate(world, ledger, fate, outcome)
      },
    )

    it('default to success, or else stay blocked', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [base, dependent] })
      await ledger.enqueue(base, 'failed', { id: 'base' })
      await ledger.enqueue(dependent, null, { id: 'after', dependsOn: ['base'] })
      await end(ledger, 'failed')
      await expectFate(world, ledger, 'blocked', 'failed')
      const { dependsOn } = await ledger.status('after')
      expect(dependsOn).toEqual([{ id: 'base', on: 'succeeded', otherwise: 'block' }])
    })

    it('that blocked are met by a later retry of what they wait for', async () => {
      await using world = await World.create(backend)
      let broken = true
      const fixable = defineJob({
        type: 'fixable',
        maxAttempts: 1,
        handle: (_: null) => {
          if (broken) throw new Error('broken')
          return 'mended'
        },
      })
      const ledger = await world.open({ jobs: [fixable, dependent] })
      await ledger.start()
      await ledger.enqueue(fixable, null, { id: 'base' })
      await ledger.enqueue(dependent, null, { id: 'before', dependsOn: ['base'] })
      await rejection(ledger.result('base'))
      await ledger.enqueue(dependent, null, { id: 'after', dependsOn: ['base'] })
      await ledger.retry('base')
      await rejection(ledger.result('base'))
      broken = false
      await ledger.retry('base')
      for (const id of ['before', 'after']) {
        expect(await ledger.result(id)).toEqual([{ id: 'base', outcome: 'succeeded', result: 'mended' }])
      }
    })

    it('once met stay met, whatever becomes of the dependency later', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [base, dependent] })
      await ledger.start({ queues: ['open'] })
      await ledger.enqueue(base, 'succeeded', { id: 'base', queue: 'open' })
      await ledger.enqueue(dependent, null, { id: 'after', dependsOn: ['base'], delay: '1m', queue: 'open' })
      await ledger.result('base')
      await ledger.retry('base')
      await ledger.result('base')
      await ledger.enqueue(base, 'succeeded', { id: 'never', queue: 'shut' })
      await ledger.cancel('never')
      await world.clock.advance('1m')
      expect(await ledger.result('after')).toMatchObject([{ id: 'base', outcome: 'succeeded' }])
    })

    it('form chains and diamonds that run in order, every job once', async () => {
      await using world = await World.create(backend)
      const order: string[] = []
      const step = defineJob({
        type: 'step',
        handle: async (name: string, ctx) => {
          order.push(name)
          const before = await ctx.dependencies()
          return [...before.map(({ id }) => id), name].join('<')
        },
      })
      const ledger = await world.open({ jobs: [step] })
      await ledger.start({ concurrency: 4 })
      const dag: Record<string, string[]> = { e: ['d'], d: ['c', 'b'], c: ['a'], b: ['a'], a: [] }
      await ledger.enqueueMany(
        Object.entries(dag).map(([id, dependsOn]) => ({ job: step, payload: id, options: { id, dependsOn } })),
      )
      expect(await ledger.result('e')).toBe('d<e')
      expect(await ledger.result('d')).toBe('c<b<d')
      expect(order[0]).toBe('a')
      expect(order.slice(1, 3).sort()).toEqual(['b', 'c'])
      expect(order.slice(3)).toEqual(['d', 'e'])
    })

    it('doom a whole chain of jobs that are to be cancelled with what they wait for', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [base, dependent] })
      await ledger.enqueue(base, 'failed', { id: 'base' })
      for (let n = 0; n < 20; n += 1) {
        const dependsOn = [{ id: n === 0 ? 'base' : `c${n - 1}`, otherwise: 'cancel' as const }]
        await ledger.enqueue(dependent, null, { id: `c${n}`, dependsOn })
      }
      const last = next(ledger, 'c19', 'Cancelled')
      await end(ledger, 'failed')
      await last
      expect((await ledger.list({ state: 'cancelled' })).jobs).toHaveLength(20)
      expect(await typesOf(ledger, 'c7')).toEqual(['Queued', 'Cancelled'])
    })

    it('show in the status which of several are still open, and which failed', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [base, dependent] })
      const names = ['good', 'bad', 'slow', 'run-anyway']
      await ledger.enqueue(base, 'succeeded', { id: 'good' })
      await ledger.enqueue(base, 'failed', { id: 'bad' })
      await ledger.enqueue(base, 'succeeded', { id: 'slow', delay: '1h' })
      await ledger.enqueue(base, 'failed', { id: 'run-anyway' })
      const dependsOn = names.map((id) => ({
        id,
        otherwise: id === 'run-anyway' ? ('run' as const) : ('block' as const),
      }))
      await ledger.enqueue(dependent, null, { id: 'after', dependsOn })
      expect((await ledger.status('after')).blockedBy).toEqual(names)
      await ledger.start()
      await ledger.result('good')
      await rejection(ledger.result('bad'))
      await rejection(ledger.result('run-anyway'))
      expect((await ledger.status('after')).blockedBy).toEqual(['bad', 'slow'])
      await world.clock.advance('1h')
      expect((await ledger.status('after')).blockedBy).toEqual(['bad'])
    })

    it('are met across ledgers on one log', async () => {
      await using world = await World.create(backend)
      const runner = await world.open({ jobs: [base, dependent] })
      const client = await world.open()
      await runner.start()
      const first = await client.enqueue(base, 'succeeded')
      const second = await client.enqueue(dependent, null, { dependsOn: [first.id] })
      expect(await second.result()).toEqual([{ id: first.id, outcome: 'succeeded', result: 'was succeeded' }])
    })
  })
}
