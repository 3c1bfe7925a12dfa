import { describe, expect, it } from 'vitest'
import { MemoryEventStore } from '../../../adapters/memory/event-store.js'
import { MemoryViews } from '../../../adapters/memory/views.js'
import { VirtualClock } from '../../../adapters/testing/virtual-clock.js'
import { LedgerClosed, ShuttingDown } from '../../../runtime/errors.js'
import type { Ledger } from '../../../runtime/ledger.js'
import type { AppendGroup, AppendOutcome } from '../../../runtime/ports/event-store.js'
import type { JobContext } from '../../../runtime/work/run/context.js'
import type { JobDefinition } from '../../../runtime/work/run/definition.js'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { Backend } from '../support.js'
import { gate, keptOpen, ledgerOn, never, rejection, typesOf, World } from '../support.js'

const plain = defineJob({ type: 'plain', handle: (value: number) => value })

function waiting(onAbort: (ctx: JobContext) => Promise<string> | string) {
  const started = gate<JobContext>()
  const go = gate<string>()
  const job: JobDefinition<null, string> = defineJob({
    type: 'waiting',
    handle: (_: null, ctx: JobContext) => {
      started.open(ctx)
      const aborted = new Promise<string>((resolve, reject) => {
        ctx.signal.addEventListener('abort', () => void Promise.resolve(ctx).then(onAbort).then(resolve, reject))
      })
      return Promise.race([go.promise, aborted])
    },
  })
  return { job, started: started.promise, go }
}

const CALLS: readonly (readonly [string, (ledger: Ledger) => Promise<unknown>])[] = [
  ['start', (ledger) => ledger.start()],
  ['enqueue', (ledger) => ledger.enqueue(plain, 1)],
  ['enqueueMany', (ledger) => ledger.enqueueMany([])],
  ['result', (ledger) => ledger.result('x')],
  ['status', (ledger) => ledger.status('x')],
  ['history', (ledger) => ledger.history('x')],
  ['list', (ledger) => ledger.list()],
  ['cancel', (ledger) => ledger.cancel('x')],
  ['retry', (ledger) => ledger.retry('x')],
  ['queues.stats', (ledger) => ledger.queues.stats()],
  ['ping', (ledger) => ledger.ping()],
]

export function closingSuite(backend: Backend): void {
  describe('close', () => {
    it('lets running jobs finish, and begins no other', async () => {
      await using world = await World.create(backend)
      const { job, started, go } = waiting(() => never())
      const ledger = await world.open({ jobs: [job, plain] })
      await ledger.start({ concurrency: 1 })
      const { id } = await ledger.enqueue(job, null)
      const next = await ledger.enqueue(plain, 1)
      const { signal } = await started
      const closing = ledger.close()
      await world.clock.advance('19s')
      expect(signal.aborted).toBe(false)
      go.open('in time')
      await world.pass(closing)
      const reopened = await world.open()
      expect(await reopened.result(id)).toBe('in time')
      expect(await reopened.status(next.id)).toMatchObject({ state: 'ready', run: 0 })
    })

    it('aborts what still runs at the drain deadline and gives its lease back, the attempt unspent', async () => {
      await using world = await World.create(backend)
      const { job, started } = waiting(({ signal }) => {
        throw signal.reason
      })
      const ledger = await world.open({ jobs: [job] })
      await ledger.start()
      const { id } = await ledger.enqueue(job, null)
      const { signal } = await started
      const closing = ledger.close({ drain: '7s' })
      await world.clock.advance(6_999)
      expect(signal.aborted).toBe(false)
      await world.clock.advance(1)
      expect(signal.reason).toBeInstanceOf(ShuttingDown)
      await closing
      const reopened = await world.open({ jobs: [defineJob({ type: 'waiting', handle: (_, ctx) => ctx.attempt })] })
      expect(await typesOf(reopened, id)).toEqual(['Queued', 'Leased', 'Released'])
      expect(await reopened.status(id)).toMatchObject({ state: 'ready', attempt: 0, run: 1 })
      await reopened.start()
      expect(await reopened.result(id)).toBe(1)
    })

    it('records what a run still brings to an end between abort and deadline', async () => {
      await using world = await World.create(backend)
      const { job, started } = waiting(() => 'wrapped up')
      const ledger = await world.open({ jobs: [job] })
      await ledger.start()
      const { id } = await ledger.enqueue(job, null)
      await started
      await world.close(ledger, { drain: 0, timeout: '1s' })
      expect(await (await world.open()).result(id)).toBe('wrapped up')
    })

    it('gives back, at the last deadline, what heeds no signal, and does not hear it any more', async () => {
      await using world = await World.create(backend)
      const { job, started, go } = waiting(() => never())
      const ledger = await world.open({ jobs: [job] })
      await ledger.start()
      const { id } = await ledger.enqueue(job, null)
      await started
      let closed = false
      const closing = ledger.close().then(() => {
        closed = true
      })
      await world.clock.advance(29_999)
      expect(closed).toBe(false)
      await world.clock.advance(1)
      await closing
      go.open('too late')
      await world.clock.settle()
      const reopened = await world.open()
      expect(await typesOf(reopened, id)).toEqual(['Queued', 'Leased', 'Heartbeat', 'Heartbeat', 'Released'])
      expect(await reopened.status(id)).toMatchObject({ state: 'ready', attempt: 0 })
    })

    it('is idempotent, and every call after it is refused', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      await ledger.start()
      const completed = gate()
      ledger.events$.subscribe({ complete: () => completed.open() })
      const closes = [ledger.close(), ledger.close({ drain: 0 })]
      for (const [name, call] of CALLS) {
        expect(await rejection(call(ledger)), `${name} while it closes`).toBeInstanceOf(LedgerClosed)
      }
      await Promise.all(closes)
      await ledger.close()
      await ledger[Symbol.asyncDispose]()
      await completed.promise
      for (const [name, call] of CALLS) expect(await rejection(call(ledger)), name).toBeInstanceOf(LedgerClosed)
    })

    it('with an option that is wrong says so and closes nothing', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      const error = await rejection(ledger.close({ drain: 'soon' }))
      expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'close.drain' })
      expect((await ledger.enqueue(plain, 1)).outcome).toBe('created')
      await ledger.close()
      expect(await rejection(ledger.ping())).toBeInstanceOf(LedgerClosed)
    })

    it('tells whoever waits for a result', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      const job = await ledger.enqueue(plain, 1)
      const waiters = [rejection(job.result()), rejection(ledger.result(job.id))]
      await world.clock.settle()
      await ledger.close()
      for (const error of await Promise.all(waiters)) expect(error).toBeInstanceOf(LedgerClosed)
    })

    it('loses nothing of what was enqueued the moment before', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      const enqueued = Promise.all([1, 2, 3].map((n) => ledger.enqueue(plain, n, { id: `n${n}` })))
      await ledger.close()
      expect((await enqueued).map(({ outcome }) => outcome)).toEqual(['created', 'created', 'created'])
      const reopened = await world.open({ jobs: [plain] })
      expect((await reopened.list()).jobs).toHaveLength(3)
      await reopened.start()
      expect(await Promise.all([1, 2, 3].map((n) => reopened.result(`n${n}`)))).toEqual([1, 2, 3])
    })

    it('waits for nothing when nothing runs, also with a lease under way that is refused', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      await ledger.enqueue(plain, 1, { id: 'a', delay: '1h' })
      await ledger.start()
      const again = ledger.enqueue(plain, 1, { id: 'a' })
      const before = world.clock.now()
      // No time passes: a deadline would never come.
      await ledger.close()
      expect((await again).outcome).toBe('duplicate')
      expect(world.clock.now()).toBe(before)
    })

    it('keeps its deadline when the store never says what became of an append', async () => {
      const clock = new VirtualClock()
      const store = new MemoryEventStore()
      let broken = false
      const silent = new Proxy(keptOpen(store), {
        get(target, key) {
          if (key !== 'append') return Reflect.get(target, key) as unknown
          return async (groups: readonly AppendGroup[]): Promise<AppendOutcome[]> =>
            broken ? groups.map(() => ({ kind: 'unknown', error: new Error('no answer') })) : target.append(groups)
        },
      })
      const ledger = await ledgerOn(silent, new MemoryViews(), clock, { jobs: [plain] })
      await ledger.start()
      broken = true
      const enqueuing = rejection(ledger.enqueue(plain, 1))
      let closed = false
      const closing = ledger.close({ timeout: '1m' }).then(() => {
        closed = true
      })
      await clock.advance('2m')
      expect(closed).toBe(true)
      await closing
      expect(await enqueuing).toMatchObject({ family: expect.stringMatching(/^(store|ledger)$/) })
    })

    it('while start() is under way ends both', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [plain] })
      const job = await ledger.enqueue(plain, 1)
      const starting = ledger.start()
      await world.pass(ledger.close())
      expect(await starting).toBe(true)
      const reopened = await world.open()
      expect((await reopened.status(job.id)).state).toMatch(/^(ready|succeeded)$/)
    })

    it('comes of itself at the end of an `await using`', async () => {
      await using world = await World.create(backend)
      let kept: Ledger | undefined
      {
        await using ledger = await world.open()
        kept = ledger
        await ledger.ping()
      }
      expect(await rejection(kept.ping())).toBeInstanceOf(LedgerClosed)
    })
  })
}
