/** Triggers that fire when a program says that something has happened to a document. */
import { expect } from 'vitest'
import type { PublishedEvent } from '../../runtime/trigger/published.js'
import type { World } from '../engine/support.js'
import { scenario } from './scenario.js'
import { noted, payloadsOf, storyOf, tick } from './trigger-acts.js'

const ORDER = { id: 'o-1', status: 'paid', total: 12, items: ['pen', 'ink'], buyer: { city: 'Bern' } }
const event = (more: Partial<PublishedEvent> = {}): PublishedEvent => ({
  ...{ type: 'orders', verb: 'UPDATED', id: 'o-1', document: ORDER },
  ...more,
})
const created = event({ verb: 'CREATED' })
const updated = event({ old: { ...ORDER, status: 'open', buyer: { city: 'Bern' } } })
const deleted = event({ verb: 'DELETED', document: undefined, old: ORDER })
const notified = event({ verb: 'NOTIFY' })
const file = event({ type: 'files', id: 'f-1', document: { name: 'a' }, within: ['root', 'here', 'there'] })

type Expected = readonly [mask: string, matching: readonly PublishedEvent[]]
const ALL = [created, updated, deleted, notified, file] as const

/** Each of all these events matches, or does not, as it says. */
async function matchAs(world: World, rows: readonly Expected[]): Promise<void> {
  const ledger = await world.open()
  for (const [when] of rows) await ledger.triggers.add({ id: when, kind: 'event', when, job: tick, payload: null })
  for (const published of ALL) {
    const outcomes = await ledger.publish(published)
    expect(outcomes.every(({ outcome }) => outcome === 'fired')).toBe(true)
    const wanted = rows.filter(([, matching]) => matching.includes(published)).map(([when]) => when)
    expect(outcomes.map(({ triggerId }) => triggerId).sort(), `${published.type} ${published.verb}`).toEqual(
      wanted.sort(),
    )
  }
  for (const [when, matching] of rows) expect(await ledger.triggers.jobs(when), when).toHaveLength(matching.length)
}

scenario([62, '002.26'], 'a rule names a type, and the verbs it is for; a notification matches none', (world) =>
  matchAs(world, [
    ['orders', [created, updated, deleted]],
    ['files', [file]],
    ['order', []],
    ['order*', [created, updated, deleted]],
    ['fi*', [file]],
    ['orders:CREATED', [created]],
    ['orders:CREATED,DELETED', [created, deleted]],
    ['files:DELETED', []],
    ['files:DELETED orders:DELETED', [deleted]],
    ['files orders:CREATED orders:CREATED,UPDATED', [created, updated, file]],
  ]),
)

scenario([62, '002.27'], 'its values are ids: of the document, or of what it lies in or has lain in', (world) =>
  matchAs(world, [
    ['orders:CREATED:o-1', [created]],
    ['orders:CREATED:o-2', []],
    ['orders:DELETED,UPDATED:o-2,o-1', [updated, deleted]],
    ['files:UPDATED:f-1', [file]],
    ['files:UPDATED:here', [file]],
    ['files:UPDATED:nowhere,there', [file]],
    ['files:UPDATED:nowhere', []],
  ]),
)

scenario([62, '002.28'], 'with a selector they are values of that field, as it is now or as it was', (world) =>
  matchAs(world, [
    ['orders:CREATED:paid:status', [created]],
    ['orders:CREATED:open:status', []],
    ['orders:CREATED,UPDATED,DELETED:paid:status', [created, updated, deleted]],
    ['orders:UPDATED:open:status', [updated]],
    ['orders:DELETED:gone,paid:status', [deleted]],
    ['orders:CREATED:12:total', [created]],
    ['orders:CREATED:ink:items', [created]],
    ['orders:CREATED:Bern:buyer.city', [created]],
    ['orders:CREATED:Bern:buyer', []],
    ['orders:CREATED:Bern:city', []],
    ['orders:CREATED:o-1:status', []],
  ]),
)

scenario([62, '002.29'], '`!=` asks whether a field has changed, and what is new or gone has changed', (world) =>
  matchAs(world, [
    ['orders:UPDATED:!=:status', [updated]],
    ['orders:UPDATED:!=:total', []],
    ['orders:UPDATED:!=:buyer', []],
    ['orders:UPDATED:!=:none', []],
    ['orders:CREATED:!=:total', [created]],
    ['orders:DELETED:!=:total', [deleted]],
    ['orders:UPDATED:!=,12:total', [updated]],
  ]),
)

scenario([62], 'rules may be given as objects, with values that a mask cannot hold', async (world) => {
  const ledger = await world.open()
  const rules = [{ type: 'orders', verbs: ['UPDATED'], values: ['to be: shipped'], selector: 'status' }]
  await ledger.triggers.add({ id: 'objects', kind: 'event', when: rules, job: tick, payload: null })
  expect(await ledger.triggers.get('objects')).toMatchObject({ kind: 'event', rules })
  expect(await ledger.publish(updated)).toEqual([])
  const [outcome] = await ledger.publish(event({ document: { status: 'to be: shipped' } }))
  expect(outcome).toMatchObject({ triggerId: 'objects', outcome: 'fired' })
  await ledger.triggers.add({ id: 'mask', kind: 'event', when: ' orders:CREATED  files ', job: tick, payload: null })
  expect(await ledger.triggers.get('mask')).toMatchObject({
    when: 'orders:CREATED  files',
    rules: [{ type: 'orders', verbs: ['CREATED'] }, { type: 'files' }],
  })
})

scenario([62, 48, '002.26'], 'the job is given the event beside its own payload', async (world) => {
  const { job, notes } = noted()
  const ledger = await world.open({ jobs: [job] })
  await ledger.start()
  const payload = { type: 'not the event' }
  await ledger.triggers.add({ id: 'paid', kind: 'event', when: 'orders files', job, payload })
  const at = world.clock.now()
  const outcomes = [
    ...(await ledger.publish(updated)),
    ...(await ledger.publish(deleted)),
    ...(await ledger.publish(file)),
  ]
  for (const { jobId } of outcomes) await ledger.result(jobId as string)
  const { document: _, ...gone } = deleted
  const told = (published: object): object => ({
    payload,
    manual: false,
    trigger: { id: 'paid', occurrence: at, event: published },
  })
  expect(notes).toEqual([told(updated), told(gone), told(file)])
  expect(await payloadsOf(ledger, 'paid')).toEqual([payload, payload, payload])
})

scenario([62], 'a trigger of one channel hears of nothing in others, one without hears of all', async (world) => {
  const ledger = await world.open()
  const add = (id: string, channel?: string): Promise<unknown> =>
    ledger.triggers.add({
      id,
      kind: 'event',
      when: 'orders',
      job: tick,
      payload: null,
      ...(channel && { options: { channel } }),
    })
  await add('all')
  await add('acme', 'acme')
  await add('other', 'other')
  const heard = async (channel?: string): Promise<string[]> =>
    (await ledger.publish(event(channel === undefined ? {} : { channel }))).map(({ triggerId }) => triggerId)
  expect(await heard('acme')).toEqual(['all', 'acme'])
  expect(await heard('other')).toEqual(['all', 'other'])
  expect(await heard()).toEqual(['all'])
  expect(await ledger.triggers.jobs('acme')).toMatchObject([{ channel: 'acme' }])
})

scenario(
  [62, 59],
  'one that another process has just added hears of it; one that is paused or removed does not',
  async (world) => {
    const [ledger, other] = [await world.open(), await world.open()]
    for (const id of ['kept', 'paused', 'removed'])
      await other.triggers.add({ id, kind: 'event', when: 'orders', job: tick, payload: null })
    expect(await ledger.publish(created)).toHaveLength(3)
    await other.triggers.pause('paused')
    await other.triggers.remove('removed')
    expect(await ledger.publish(created)).toMatchObject([{ triggerId: 'kept' }])
    await other.triggers.resume('paused')
    expect(await ledger.publish(created)).toHaveLength(2)
  },
)

scenario([62], 'what nobody listens for leaves no trace', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add({ id: 'files', kind: 'event', when: 'files', job: tick, payload: null })
  expect(await ledger.publish(created)).toEqual([])
  expect(await storyOf(world, 'files')).toHaveLength(1)
  expect((await ledger.list()).jobs).toEqual([])
})

scenario([62], 'the same key, published again, makes no second job', async (world) => {
  const ledger = await world.open()
  for (const id of ['one', 'other'])
    await ledger.triggers.add({ id, kind: 'event', when: 'orders', job: tick, payload: null })
  const first = await ledger.publish(event({ key: 'k-1' }))
  expect(await ledger.publish(event({ key: 'k-1' }))).toEqual(first)
  await world.clock.advance('1h')
  expect(await ledger.publish(event({ key: 'k-1' }))).toEqual(first)
  for (const id of ['one', 'other']) expect(await ledger.triggers.state(id)).toMatchObject({ fired: 1, missed: 0 })
  await ledger.publish(event({ key: 'k-2' }))
  await ledger.publish(event())
  for (const id of ['one', 'other']) expect(await ledger.triggers.jobs(id)).toHaveLength(3)
})
