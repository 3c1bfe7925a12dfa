/** A store that appends to one stream at a time: a dependency may end between the look at it and the append of its dependent. */
import { expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import type { EdgeFallback } from '../../domain/job/events.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { AppendGroup, EventStore } from '../../runtime/ports/event-store.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Backend } from './support.js'
import { keptOpen, ledgerOn, typesOf, World } from './support.js'

const note = defineJob<unknown, unknown>({ type: 'note' })

/** `rival` acts right before this job is appended. */
function overtaken(store: EventStore, job: string, rival: () => Promise<unknown>): EventStore {
  const append = async (groups: readonly AppendGroup[]): ReturnType<EventStore['append']> => {
    const events = groups.flatMap((group) => (isProbe(group) ? [] : group.events))
    if (events.some(({ stream, type }) => stream === `job-${job}` && type === 'Queued')) await rival()
    return store.append(groups)
  }
  return new Proxy(store, {
    get: (target, key) => (key === 'append' ? append : Reflect.get(target, key, target)),
  })
}

const isProbe = ({ events }: AppendGroup): boolean => events.some(({ type }) => type === 'Looked')

function backend(rival: () => Promise<unknown>): Backend {
  const store = keptOpen(new MemoryEventStore({ atomicGroups: false }))
  const views = keptOpen(new MemoryViews())
  let opened = 0
  return {
    name: 'memory, one stream at a time',
    async create() {
      return {
        open: (options, clock, ids) =>
          ledgerOn(opened++ === 0 ? overtaken(store, 'b', rival) : store, views, clock, options, ids),
        store: async () => store,
        remove: async () => {},
      }
    },
  }
}

const ENDS: readonly [how: string, otherwise: EdgeFallback, end: (other: Ledger) => Promise<unknown>, state: string][] =
  [
    ['has ended well', 'block', succeed, 'ready'],
    ['was cancelled, where that is no matter', 'run', (other) => other.cancel('a'), 'ready'],
    ['was cancelled, which is its end, too', 'cancel', (other) => other.cancel('a'), 'cancelled'],
    ['was cancelled, and may be sent round again', 'block', (other) => other.cancel('a'), 'blocked'],
    ['has ended and was removed', 'block', (other) => succeed(other).then(() => other.remove('a')), 'ready'],
  ]

async function succeed(other: Ledger): Promise<void> {
  const workerId = await other.workers.register()
  const { token } = await other.leaseById('a', workerId)
  await other.finish(token)
}

test.each(ENDS)(
  'whose dependency %s just before it came is not forgotten (otherwise: %s)',
  async (_, otherwise, end, state) => {
    let other: Ledger | undefined
    await using world = await World.create(backend(async () => end(other as Ledger)))
    const ledger = await world.open()
    other = await world.open()
    await ledger.enqueue(note, 1, { id: 'a' })
    await ledger.enqueue(note, 2, { id: 'b', dependsOn: [{ id: 'a', otherwise }] })
    await world.clock.settle()
    for (const each of [ledger, other, await world.open()]) expect((await each.status('b')).state).toBe(state)
    // Said once, whoever sees it.
    expect((await typesOf(ledger, 'b')).filter((type) => type === 'Rescheduled')).toHaveLength(1)
  },
)

test('of one that comes to an end later it is heard as ever', async () => {
  await using world = await World.create(backend(async () => {}))
  const [ledger, other] = [await world.open(), await world.open()]
  await ledger.enqueue(note, 1, { id: 'a' })
  await ledger.enqueue(note, 2, { id: 'b', dependsOn: ['a'] })
  await succeed(other)
  await world.clock.settle()
  expect(await typesOf(ledger, 'b')).toEqual(['Queued'])
  expect((await other.status('b')).state).toBe('ready')
})
