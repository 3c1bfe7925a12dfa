/** A store that appends to one stream at a time: a firing and its job are two appends, and a process may die between them. */
import { expect, test } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { TriggerTimes } from '../../runtime/trigger/options.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { afterEvent, oneStreamMortal } from './mortal-store.js'
import { World } from './support.js'

const note = defineJob<unknown, unknown>({ type: 'note', priority: 3 })

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
  await using world = await World.create(oneStreamMortal(afterEvent('TriggerFired')))
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

async function payloadIn(world: World, stream: string): Promise<unknown> {
  for await (const [queued] of (await world.store()).readStream(stream, { bodies: true }))
    if (queued?.body !== undefined && 'content' in queued.body) return JSON.parse(queued.body.content as string)
  return undefined
}
