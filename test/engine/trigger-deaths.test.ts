/** A store that appends to one stream at a time: a firing and its job are two appends, and a process may die between them. */
import { expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { AppendGroup, AppendOutcome, EventStore } from '../../runtime/ports/event-store.js'
import type { TriggerTimes } from '../../runtime/trigger/options.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Backend } from './support.js'
import { keptOpen, ledgerOn, World } from './support.js'

const note = defineJob<unknown, unknown>({ type: 'note', priority: 3 })

/** Appends go through it until one has brought a firing; those after it are never answered. */
function mortal(store: EventStore): EventStore {
  let isDead = false
  const append = async (groups: readonly AppendGroup[]): Promise<AppendOutcome[]> => {
    if (isDead) return new Promise(() => {})
    const outcomes = await store.append(groups)
    isDead = groups.some(({ events }) => events.some(({ type }) => type === 'TriggerFired'))
    return outcomes
  }
  return new Proxy(store, {
    get: (target, key) => (key === 'append' ? append : Reflect.get(target, key, target)),
  })
}

/** `first`: the handle of the ledger that is opened first. */
function oneStream(log: MemoryEventStore, first = (store: EventStore): EventStore => store): Backend {
  const store = keptOpen(log)
  const views = keptOpen(new MemoryViews())
  let opened = 0
  return {
    name: 'memory, one stream at a time',
    async create() {
      return {
        open: (options, clock, ids) => ledgerOn(opened++ === 0 ? first(store) : store, views, clock, options, ids),
        store: async () => store,
        remove: async () => {},
      }
    },
  }
}

async function typesIn(world: World, stream: string): Promise<string[]> {
  const events: RecordedEvent[] = []
  for await (const page of (await world.store()).readStream(stream)) events.push(...page)
  return events.map(({ type }) => type)
}

interface Way {
  readonly how: string
  readonly kind: TriggerTimes & { readonly debounce?: string }
  /** What makes it fire: somebody, or time. */
  readonly ask?: (ledger: Ledger) => Promise<unknown>
  readonly wait?: string
  /** Payload of the job. */
  readonly gets: unknown
}

const file = { type: 'files', verb: 'CREATED' }
const WAYS: readonly Way[] = [
  { how: 'by time', kind: { kind: 'every', when: '10m' }, wait: '10m', gets: 'own' },
  { how: 'for the last time', kind: { kind: 'in', when: '10m' }, wait: '10m', gets: 'own' },
  {
    how: 'by event',
    kind: { kind: 'event', when: 'files' },
    ask: (ledger) => ledger.publish(file),
    gets: { payload: 'own', event: file },
  },
  { how: 'by webhook', kind: { kind: 'webhook' }, ask: (ledger) => ledger.triggers.receive('t', 1), gets: 1 },
  { how: 'by hand', kind: { kind: 'webhook' }, ask: (ledger) => ledger.triggers.fire('t', { payload: 2 }), gets: 2 },
  {
    how: 'at the end of a window',
    kind: { kind: 'webhook', debounce: '5s' },
    ask: async (ledger) => {
      await ledger.triggers.receive('t', 1)
      await ledger.triggers.receive('t', 2)
    },
    wait: '5s',
    gets: [1, 2],
  },
]

test.each(WAYS)('a firing $how is completed by another process, 5 s later, and only once', async (way) => {
  const { kind, ask, wait = '0s', gets } = way
  await using world = await World.create(oneStream(new MemoryEventStore({ atomicGroups: false }), mortal))
  const { clock } = world
  const first = await world.open()
  await first.triggers.add({ id: 't', ...kind, job: note, payload: 'own' })
  // Whoever has asked is never told.
  ask?.(first).catch(() => {})
  await clock.settle()
  await clock.advance(wait)
  expect((await typesIn(world, 'trigger-t')).filter((type) => type === 'TriggerFired')).toHaveLength(1)
  const second = await world.open()
  await clock.advance('4900ms')
  expect(await second.triggers.jobs('t')).toEqual([])
  // Others that are there as well are in nobody's way.
  await world.open()
  await clock.advance('2s')
  const [job, ...others] = await second.triggers.jobs('t')
  expect(others).toEqual([])
  expect(await typesIn(world, `job-${job?.id}`)).toEqual(['Queued'])
  expect(job).toMatchObject({ type: 'note', priority: 3, state: 'ready' })
  expect(await payloadIn(world, `job-${job?.id}`)).toEqual(gets)
  await clock.advance('1m')
  expect(await second.triggers.jobs('t')).toHaveLength(1)
})

test('a job that claims more than its own stream is refused there, and the trigger goes on', async () => {
  const limited = defineJob<unknown, unknown>({ type: 'limited', rateLimit: { limit: 1, per: '1h' } })
  await using world = await World.create(oneStream(new MemoryEventStore({ atomicGroups: false })))
  const { triggers } = await world.open()
  const minutely = { kind: 'every', when: '1m', payload: 1 } as const
  await triggers.add({ ...minutely, id: 'unique', job: note, options: { unique: { key: 'k' } } })
  await triggers.add({ ...minutely, id: 'limited', job: limited })
  await world.clock.advance('2m')
  for (const id of ['unique', 'limited']) {
    expect(await triggers.state(id)).toMatchObject({ status: 'none', fired: 0, missed: 2, lastMissed: 'refused' })
    await expect(triggers.fire(id)).rejects.toMatchObject({ code: 'STORE_REFUSED' })
    expect(await triggers.jobs(id)).toEqual([])
  }
})

async function payloadIn(world: World, stream: string): Promise<unknown> {
  for await (const [queued] of (await world.store()).readStream(stream, { bodies: true }))
    if (queued?.body !== undefined && 'content' in queued.body) return JSON.parse(queued.body.content as string)
  return undefined
}
