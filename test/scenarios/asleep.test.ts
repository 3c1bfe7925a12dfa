/** A ledger that has not followed the log for a while: what others removed in the meantime it has never seen. */
import { expect } from 'vitest'
import { MemoryViews } from '../../adapters/memory/views.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Gate, World } from '../engine/support.js'
import { gate, ledgerOn, memory, next, rejection } from '../engine/support.js'
import { end, running, TYPES, work } from './ends.js'
import { scenario } from './scenario.js'

/** A ledger whose subscription can be held up; all else it does as ever. */
class Sleeper {
  #bed: Gate | undefined
  readonly #other: Ledger
  #ledger: Ledger | undefined

  constructor(other: Ledger) {
    this.#other = other
  }

  async open(world: World, store: EventStore, jobs: readonly JobDefinition[] = TYPES): Promise<Ledger> {
    const drowsy = new Proxy(store, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (key !== 'subscribe') return typeof value === 'function' ? value.bind(target) : value
        return (options: Parameters<EventStore['subscribe']>[0]) => this.#follow(target.subscribe(options))
      },
    })
    this.#ledger = await ledgerOn(drowsy, new MemoryViews(), world.clock, { jobs })
    return this.#ledger
  }

  async *#follow<Batch>(source: AsyncIterable<Batch>): AsyncIterable<Batch> {
    const batches = source[Symbol.asyncIterator]()
    for (;;) {
      await this.#bed?.promise
      const { value, done } = await batches.next()
      if (done) return
      yield value
    }
  }

  /** It has asked for more already: what comes next is the last that it hears. */
  async sleep(world: World): Promise<void> {
    await world.clock.settle()
    this.#bed = gate()
    const id = `lullaby ${crypto.randomUUID()}`
    const heard = next(this.#ledger as Ledger, id, 'Queued')
    await this.#other.enqueue(work, 'x', { id, held: true, queue: 'lullabies' })
    await heard
  }

  wake(): void {
    this.#bed?.open()
    this.#bed = undefined
  }
}

async function two(
  world: World,
): Promise<{ readonly ledger: Ledger; readonly late: Ledger; readonly sleeper: Sleeper }> {
  const ledger = await running(world)
  const sleeper = new Sleeper(ledger)
  const late = await sleeper.open(world, await world.store())
  return { ledger, late, sleeper }
}

scenario(
  [75, 76],
  'its totals are those of everybody, also of jobs that came and went while it slept',
  async (world) => {
    const { ledger, late, sleeper } = await two(world)
    await end(ledger, 'ended before')
    await end(ledger, 'gone before')
    await ledger.remove('gone before')
    await ledger.enqueue(work, 'x', { id: 'waited before', held: true })
    await sleeper.sleep(world)
    for (const outcome of ['succeeded', 'failed', 'cancelled'] as const) await end(ledger, outcome, outcome)
    await ledger.promote('waited before')
    await ledger.result('waited before')
    await end(ledger, 'stays')
    for (const id of ['succeeded', 'failed', 'cancelled', 'waited before', 'ended before']) await ledger.remove(id)
    sleeper.wake()
    await world.clock.settle()
    const expected = await ledger.queues.stats()
    expect(expected.default).toMatchObject({ succeeded: 5, failed: 1, cancelled: 1, held: 0, ready: 0 })
    expect(await late.queues.stats()).toEqual(expected)
    expect((await late.list()).jobs).toEqual((await ledger.list()).jobs)
    await world.close(late)
  },
  [memory],
)

scenario(
  [75],
  'who waits in it for a result is told that the job was removed, and how it had ended',
  async (world) => {
    const { ledger, late, sleeper } = await two(world)
    await ledger.enqueue(work, 'x', { id: 'known', held: true })
    await sleeper.sleep(world)
    await ledger.enqueue(work, 'x', { id: 'new', held: true })
    const waiting = ['known', 'new'].map((id) => rejection(late.result(id)))
    await world.clock.settle()
    for (const id of ['known', 'new']) {
      await ledger.promote(id)
      await ledger.result(id)
      await ledger.remove(id)
    }
    sleeper.wake()
    expect(await Promise.all(waiting)).toMatchObject(
      ['known', 'new'].map((jobId) => ({ code: 'JOB_REMOVED', jobId, outcome: 'succeeded' })),
    )
    await world.close(late)
  },
  [memory],
)

scenario(
  [75, 32, 33],
  'a run of its own that was cancelled and removed meanwhile is told to stop',
  async (world) => {
    const began = gate()
    const reason = gate<unknown>()
    const hanging = defineJob({
      type: 'hanging',
      handle: async (_: null, { signal }) => {
        signal.addEventListener('abort', () => reason.open(signal.reason))
        began.open()
        await reason.promise
      },
    })
    const ledger = await world.open()
    const sleeper = new Sleeper(ledger)
    const late = await sleeper.open(world, await world.store(), [hanging])
    await late.start()
    await ledger.enqueue(hanging, null, { id: 'a' })
    await began.promise
    await sleeper.sleep(world)
    await ledger.remove('a', { force: true })
    sleeper.wake()
    expect(await reason.promise).toMatchObject({ code: 'JOB_CANCELLED', jobId: 'a' })
    await world.close(late)
  },
  [memory],
)

scenario(
  [75, 'C21'],
  'it does not take a job for what it was: one sent round again meanwhile is young, and ended otherwise',
  async (world) => {
    const { ledger, late, sleeper } = await two(world)
    let broken = true
    const fixable = defineJob({
      type: 'fixable',
      maxAttempts: 1,
      handle: (_: null) => {
        if (broken) throw new Error('broken')
      },
    })
    const runner = await world.open({ jobs: [fixable] })
    await runner.start()
    for (const id of ['a', 'b']) {
      await ledger.enqueue(fixable, null, { id })
      await rejection(ledger.result(id))
    }
    await world.clock.advance('2m')
    broken = false
    await sleeper.sleep(world)
    for (const id of ['a', 'b']) {
      await ledger.retry(id)
      await ledger.result(id)
    }
    // Planned on what it knew: old, and failed.
    const taking = late.retention.run({ rules: [{ state: 'failed', olderThan: '1m' }] })
    await world.clock.settle()
    sleeper.wake()
    expect(await taking).toMatchObject({ removed: 0 })
    expect(await ledger.status('a')).toMatchObject({ state: 'succeeded' })
    expect((await ledger.history('b')).at(-1)?.type).toBe('Finished')
    await world.close(late)
  },
  [memory],
)

scenario(
  [75, 19, 28],
  'a job that is sent round again while what it depends on is removed goes by how that had ended',
  async (world) => {
    const ledger = await running(world)
    let removing: (() => Promise<unknown>) | undefined
    // The removal happens after this ledger has looked what was removed, and before it decides.
    const views = new Proxy(new MemoryViews(), {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key)
        if (key !== 'removed') return typeof value === 'function' ? value.bind(target) : value
        return async (ids: readonly string[]) => {
          const found = await target.removed(ids)
          const remove = removing
          removing = undefined
          await remove?.()
          return found
        }
      },
    })
    const other = await ledgerOn(await world.store(), views, world.clock)
    for (const outcome of ['succeeded', 'failed'] as const) {
      const [base, next] = [`base that ${outcome}`, `after one that ${outcome}`]
      await ledger.enqueue(work, outcome, { id: base, held: true })
      await ledger.enqueue(work, 'x', { id: next, dependsOn: [{ id: base, otherwise: 'run' }] })
      await ledger.cancel(next)
      await ledger.promote(base)
      await ledger.result(base).catch(() => {})
      removing = () => ledger.remove(base)
      await other.retry(next)
      expect(await ledger.result(next)).toBe('x')
    }
    await world.close(other)
  },
  [memory],
)
