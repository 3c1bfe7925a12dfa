import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Body } from '../../../domain/event.js'
import type { AppendGroup, EventRef } from '../../../runtime/ports/event-store.js'
import { StoreRefused } from '../../../runtime/ports/event-store.js'
import {
  appendOk,
  appendOne,
  body,
  collect,
  event,
  events,
  follow,
  freshStores,
  group,
  idsOf,
  kindsOf,
  plainBody,
  type StoreFactory,
} from './harness.js'

export function takeOutTests(factory: StoreFactory): void {
  describe('bodies', () => eraseTests(factory))
  describe('streams', () => removeTests(factory))
  describe('streams, for those who read and write on', () => aftermathTests(factory))
}

const never = (): AbortSignal => new AbortController().signal

const NO_GROUPS = 'a group of this store has one stream only'
const NO_ERASE = 'the store cannot erase'

function hashOf({ salt, content }: Body): { readonly hash: string } {
  return { hash: createHash('sha256').update(salt).update(content).digest('hex') }
}

function erasing(plain: AppendGroup, ...erase: EventRef[]): AppendGroup {
  return { ...plain, erase }
}

function removing(plain: AppendGroup, ...remove: string[]): AppendGroup {
  return { ...plain, remove }
}

function eraseTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('lose their content with the events of the group; facts and other bodies stay', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.erase, NO_ERASE)
    const bodies = [body('{"name":"Ä"}'), body(new Uint8Array([0, 1, 255])), body('stays')]
    await appendOk(store, { 'job-1': 'none' }, ...bodies.map((each, n) => event('job-1', { body: each, data: { n } })))
    const told = event('audit-1')
    const [outcome] = await store.append([
      erasing(group({ 'audit-1': 'none' }, told), { stream: 'job-1', revision: 0 }, { stream: 'job-1', revision: 1 }),
    ])
    expect(outcome).toEqual({ kind: 'ok', position: await store.head() })
    const read = await collect(store.readAll({ bodies: true }))
    expect(read.map(plainBody)).toEqual([
      ...bodies.slice(0, 2).map(hashOf),
      expect.objectContaining({ content: 'stays' }),
      undefined,
    ])
    expect(read.map(({ data }) => data)).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }, {}])
    expect(read[3]?.id).toBe(told.id)
  })

  it('of the group’s own events lose it too, and no subscriber is told what it was', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.erase, NO_ERASE)
    const batches = store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    await batches.next()
    const coming = batches.next()
    const bodies = [body('first'), body('second')] as const
    const all = bodies.map((each) => event('job-1', { body: each }))
    const outcomes = await store.append([erasing(group({ 'job-1': 'none' }, ...all), { stream: 'job-1', revision: 1 })])
    expect(kindsOf(outcomes)).toEqual(['ok'])
    const read = await collect(store.readStream('job-1', { bodies: true }))
    expect(read.map(plainBody)).toEqual([expect.objectContaining({ content: 'first' }), hashOf(bodies[1])])
    const batch = (await coming).value
    expect(idsOf(batch.events)).toEqual(idsOf(all))
    const told = batch.events[1].body
    expect(told === undefined || 'hash' in told).toBe(true)
    await batches.return?.()
  })

  it('that are missing, erased already or were never there are passed over', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.erase, NO_ERASE)
    const kept = body('a')
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { body: kept }), event('job-1'))
    const refs = [0, 0, 1, 77, -1].map((revision) => ({ stream: 'job-1', revision }))
    for (const expected of [1, 2]) {
      const outcomes = await store.append([
        erasing(group({ 'job-1': expected }, event('job-1')), ...refs, { stream: 'job-missing', revision: 0 }),
      ])
      expect(kindsOf(outcomes)).toEqual(['ok'])
    }
    const read = await collect(store.readStream('job-1', { bodies: true }))
    expect(read.map(plainBody)).toEqual([hashOf(kept), undefined, undefined, undefined])
  })

  it('stay when the group conflicts, whatever its neighbours do', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.erase, NO_ERASE)
    await appendOk(store, { 'job-1': 'none' }, ...['a', 'b'].map((each) => event('job-1', { body: body(each) })))
    const outcomes = await store.append([
      erasing(group({ 'job-1': 0 }, event('job-1')), { stream: 'job-1', revision: 0 }),
      erasing(group({ 'job-2': 'none' }, event('job-2')), { stream: 'job-1', revision: 1 }),
    ])
    expect(kindsOf(outcomes)).toEqual(['conflict', 'ok'])
    const read = await collect(store.readStream('job-1', { bodies: true }))
    expect(read.map(plainBody)).toEqual([
      expect.objectContaining({ content: 'a' }),
      { hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ])
  })

  it('of a group that is sent again are not looked at again: the answer is ok', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.erase, NO_ERASE)
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { body: body('a') }))
    const told = erasing(group({ 'job-1': 0 }, event('job-1')), { stream: 'job-1', revision: 0 })
    const [first] = await store.append([told])
    await appendOk(store, { 'job-1': 1 }, event('job-1', { body: body('later') }))
    const repeated = [told, erasing(told, { stream: 'job-1', revision: 2 })]
    expect(await store.append(repeated)).toEqual([first, first])
    const read = await collect(store.readStream('job-1', { bodies: true }))
    expect(read.map(plainBody).slice(2)).toEqual([expect.objectContaining({ content: 'later' })])
  })
}

function removeTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('are refused by a store without atomic groups: the removal and its reason are two streams', async (context) => {
    const { store } = under()
    context.skip(store.capabilities.atomicGroups, 'the store has atomic groups')
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const outcomes = await store.append([
      removing(group({ 'retention-1': 'none', 'job-1': 0 }, event('retention-1')), 'job-1'),
    ])
    expect(outcomes).toEqual([{ kind: 'rejected', error: expect.any(StoreRefused) }])
    expect(await collect(store.readAll())).toHaveLength(1)
  })

  it('leave every read with the events of the group, and their names are burnt', async (context) => {
    const { store, openSecond } = under()
    context.skip(!store.capabilities.atomicGroups, NO_GROUPS)
    const gone = events('job-1', 3, { body: body('x') })
    await appendOk(store, { 'job-1': 'none' }, ...gone)
    await appendOk(store, { 'job-2': 'none' }, ...events('job-2', 2))
    await appendOk(store, { 'job-3': 'none' }, event('job-3'))
    const told = event('retention-1')
    const [outcome] = await store.append([
      removing(group({ 'retention-1': 'none', 'job-1': 2, 'job-3': 0 }, told), 'job-1', 'job-3'),
    ])
    expect(outcome).toEqual({ kind: 'ok', position: await store.head() })
    expect((await collect(store.readAll())).map(({ stream }) => stream)).toEqual(['job-2', 'job-2', 'retention-1'])
    const second = await openSecond?.()
    for (const handle of second === undefined ? [store] : [store, second]) {
      expect(await collect(handle.readStream('job-1'))).toEqual([])
      expect(await collect(handle.readStream('job-1', { limit: 1 }))).toEqual([])
      for (const expected of ['none', 0, 2] as const) {
        const again = await appendOne(handle, { 'job-1': expected }, event('job-1'))
        expect(again).toEqual({ kind: 'conflict', stream: 'job-1', actual: 'removed' })
      }
      expect(await appendOne(handle, { 'job-3': 0 }, event('job-3'))).toMatchObject({ actual: 'removed' })
      expect(await appendOne(handle, { 'job-1': 'none' }, ...gone)).toMatchObject({ actual: 'removed' })
    }
    await second?.close()
  })

  it('are fenced: a stream that has moved on stays, and so does everything else of the group', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, NO_GROUPS)
    for (const stream of ['job-1', 'job-2']) await appendOk(store, { [stream]: 'none' }, ...events(stream, 2))
    const outcomes = await store.append([
      removing(group({ 'retention-1': 'none', 'job-1': 1, 'job-2': 0 }, event('retention-1')), 'job-1', 'job-2'),
      removing(group({ 'retention-2': 'none', 'job-1': 1 }, event('retention-2')), 'job-1'),
    ])
    expect(outcomes[0]).toEqual({ kind: 'conflict', stream: 'job-2', actual: 1 })
    expect(outcomes[1]).toMatchObject({ kind: 'ok' })
    expect((await collect(store.readAll())).map(({ stream }) => stream)).toEqual(['job-2', 'job-2', 'retention-2'])
    await appendOk(store, { 'job-2': 1, 'retention-1': 'none' }, event('job-2'))
  })

  it('that were removed before are a conflict, removed by a group or by `remove`', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, NO_GROUPS)
    for (const stream of ['job-1', 'job-2']) await appendOk(store, { [stream]: 'none' }, event(stream))
    await store.remove(['job-1'])
    const take = (stream: string): AppendGroup =>
      removing(group({ 'retention-1': 'none', [stream]: 0 }, event('retention-1')), stream)
    const other = removing(group({ 'retention-2': 'none', 'job-2': 0 }, event('retention-2')), 'job-2')
    expect(await store.append([take('job-1'), other, take('job-2')])).toEqual([
      { kind: 'conflict', stream: 'job-1', actual: 'removed' },
      expect.objectContaining({ kind: 'ok' }),
      { kind: 'conflict', stream: 'job-2', actual: 'removed' },
    ])
    expect((await collect(store.readAll())).map(({ stream }) => stream)).toEqual(['retention-2'])
  })

  it('that were never written are no obstacle, and their names stay free', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, NO_GROUPS)
    const take = removing(group({ 'retention-1': 'none', 'job-1': 'none' }, event('retention-1')), 'job-1', 'job-1')
    expect(kindsOf(await store.append([take]))).toEqual(['ok'])
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    expect(await collect(store.readAll())).toHaveLength(2)
  })

  it('may be gone with what an earlier group of the same call has brought; later groups see them gone', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, NO_GROUPS)
    const outcomes = await store.append([
      group({ 'job-1': 'none' }, ...events('job-1', 12)),
      removing(group({ 'retention-1': 'none', 'job-1': 11 }, event('retention-1')), 'job-1'),
      group({ 'job-1': 11 }, event('job-1')),
      group({ 'job-1': 'none' }, event('job-1')),
      group({ 'job-1': 0 }, event('job-1')),
      group({ 'job-2': 'none', 'job-1': 11 }, event('job-2')),
      group({ 'job-2': 'none' }, event('job-2')),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'ok', 'conflict', 'conflict', 'conflict', 'conflict', 'ok'])
    for (const each of outcomes.slice(2, 6)) expect(each).toMatchObject({ stream: 'job-1', actual: 'removed' })
    expect((await collect(store.readAll())).map(({ stream }) => stream)).toEqual(['retention-1', 'job-2'])
  })

  it('of a group that is sent again: the answer is ok, though the stream is gone by now', async (context) => {
    const { store, openSecond } = under()
    context.skip(!store.capabilities.atomicGroups, NO_GROUPS)
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 2))
    const take = removing(group({ 'job-1': 1, 'retention-1': 'none' }, ...events('retention-1', 2)), 'job-1')
    const second = (await openSecond?.()) ?? store
    const [first] = await store.append([take])
    expect(await second.append([take, take])).toEqual([first, first])
    await appendOk(second, { 'retention-1': 1 }, event('retention-1'))
    expect(await store.append([take])).toEqual([first])
    expect(await collect(store.readAll())).toHaveLength(3)
    if (second !== store) await second.close()
  })
}

function aftermathTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('their positions are not given out again, neither through this handle nor through another', async (context) => {
    const { store, openSecond } = under()
    context.skip(!store.capabilities.atomicGroups, NO_GROUPS)
    await appendOk(store, { 'retention-1': 'none' }, event('retention-1'))
    const told = group({ 'retention-1': 0, 'job-1': 'none' }, event('retention-1'))
    const outcomes = await store.append([
      told,
      group({ 'job-1': 'none' }, ...events('job-1', 5)),
      removing(group({ 'retention-1': 1, 'job-1': 4 }, event('retention-1')), 'job-1'),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'ok', 'ok'])
    await store.remove(['retention-1'])
    const last = outcomes.map((outcome) => ('position' in outcome ? outcome.position : ''))[2] ?? ''
    const second = (await openSecond?.()) ?? store
    expect((await appendOk(second, { 'job-2': 'none' }, event('job-2'))) > last).toBe(true)
    if (second !== store) await second.close()
  })

  it('subscribers, old and new, see the log as it is read', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, NO_GROUPS)
    for (const stream of ['job-1', 'job-2']) await appendOk(store, { [stream]: 'none' }, ...events(stream, 2))
    const positions = (await collect(store.readAll())).map(({ position }) => position)
    const live = follow(store.subscribe({ after: positions[3] ?? '', signal: never() }), 4)
    await store.append([
      group({ 'job-3': 'none' }, ...events('job-3', 3)),
      removing(group({ 'retention-1': 'none', 'job-1': 1, 'job-3': 2 }, event('retention-1')), 'job-1', 'job-3'),
      group({ 'job-4': 'none' }, ...events('job-4', 2)),
    ])
    await appendOk(store, { 'job-4': 1 }, event('job-4'))
    const log = await collect(store.readAll())
    expect(log.map(({ stream }) => stream)).toEqual(['job-2', 'job-2', 'retention-1', 'job-4', 'job-4', 'job-4'])
    expect(idsOf(await live)).toEqual(idsOf(log.slice(2)))
    expect(idsOf(await follow(store.subscribe({ signal: never() }), 6))).toEqual(idsOf(log))
  })

  it('a handle that reads a stream after another has removed it does not take it for a live one', async (context) => {
    const { store, openSecond } = under()
    context.skip(!store.capabilities.atomicGroups, NO_GROUPS)
    if (openSecond === undefined) return context.skip('the store has one handle only')
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await appendOk(store, { 'worker-1': 'none' }, ...events('worker-1', 9))
    await store.append([removing(group({ 'retention-1': 'none', 'job-1': 0 }, event('retention-1')), 'job-1')])
    await store.truncate('worker-1', 5)
    const second = await openSecond()
    await appendOk(second, { 'job-2': 'none' }, event('job-2'))
    expect(await collect(second.readStream('job-1'))).toEqual([])
    expect(await collect(second.readStream('worker-1'))).toHaveLength(4)
    expect(await appendOne(second, { 'job-1': 0 }, event('job-1'))).toMatchObject({ actual: 'removed' })
    expect(await appendOne(second, { 'worker-1': 0 }, event('worker-1'))).toMatchObject({ actual: 8 })
    await second.close()
  })
}
