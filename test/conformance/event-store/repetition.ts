import { expect, it } from 'vitest'
import {
  appendOk,
  appendOne,
  collect,
  event,
  events,
  freshStores,
  group,
  kindsOf,
  type StoreFactory,
} from './harness.js'

export function repetitionTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('is ok at the position it has, and stores nothing again', async () => {
    const { store } = under()
    const all = events('job-1', 3)
    const position = await appendOk(store, { 'job-1': 'none' }, ...all)
    expect(await appendOne(store, { 'job-1': 'none' }, ...all)).toEqual({ kind: 'ok', position })
    expect(await collect(store.readAll())).toHaveLength(3)
  })

  it('is ok also when the stream has moved on', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const all = events('job-1', 2)
    const position = await appendOk(store, { 'job-1': 0 }, ...all)
    await appendOk(store, { 'job-1': 2 }, event('job-1'))
    await appendOk(store, { 'job-2': 'none' }, event('job-2'))
    expect(await appendOne(store, { 'job-1': 0 }, ...all)).toEqual({ kind: 'ok', position })
    expect(await collect(store.readAll())).toHaveLength(5)
  })

  it('is ok also through another handle', async (context) => {
    const { store, openSecond } = under()
    if (openSecond === undefined) return context.skip('the store has one handle only')
    const second = await openSecond()
    const all = events('job-1', 2)
    const position = await appendOk(store, { 'job-1': 'none' }, ...all)
    expect(await appendOne(second, { 'job-1': 'none' }, ...all)).toEqual({ kind: 'ok', position })
    await second.close()
  })

  it('is ok within the same call', async () => {
    const { store } = under()
    const all = events('job-1', 2)
    const outcomes = await store.append([group({ 'job-1': 'none' }, ...all), group({ 'job-1': 'none' }, ...all)])
    expect(kindsOf(outcomes)).toEqual(['ok', 'ok'])
    expect(await collect(store.readAll())).toHaveLength(2)
  })

  it('beside new groups stores just the new ones', async () => {
    const { store } = under()
    const old = event('job-1')
    await appendOk(store, { 'job-1': 'none' }, old)
    const outcomes = await store.append([
      group({ 'job-2': 'none' }, event('job-2')),
      group({ 'job-1': 'none' }, old),
      group({ 'job-3': 'none' }, event('job-3')),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'ok', 'ok'])
    expect(await collect(store.readAll())).toHaveLength(3)
  })

  it('is a conflict when only some of the ids are stored', async () => {
    const { store } = under()
    const [first, second] = [event('job-1'), event('job-1')]
    await appendOk(store, { 'job-1': 'none' }, first, second)
    expect(await appendOne(store, { 'job-1': 'none' }, first, event('job-1'))).toMatchObject({
      kind: 'conflict',
      actual: 1,
    })
    expect(await appendOne(store, { 'job-1': 'none' }, first, second, event('job-1'))).toMatchObject({
      kind: 'conflict',
    })
    expect(await collect(store.readAll())).toHaveLength(2)
  })

  it('is a conflict at another revision than the one it is stored at', async () => {
    const { store } = under()
    const [first, second] = [event('job-1'), event('job-1')]
    await appendOk(store, { 'job-1': 'none' }, first, second)
    expect(await appendOne(store, { 'job-1': 'none' }, second)).toMatchObject({ kind: 'conflict' })
  })

  it('of a group over several streams is ok, also when they and a stream only read have moved on', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, 'a group of this store has one stream only')
    await appendOk(store, { 'queue-a': 'none' }, event('queue-a'))
    const all = [event('job-1'), event('unique-1'), event('job-1')]
    const expected = { 'job-1': 'none', 'unique-1': 'none', 'queue-a': 0 } as const
    const position = await appendOk(store, expected, ...all)
    await appendOk(store, { 'queue-a': 0, 'job-1': 1 }, event('queue-a'), event('job-1'))
    expect(await appendOne(store, expected, ...all)).toEqual({ kind: 'ok', position })
    expect(await collect(store.readAll())).toHaveLength(6)
  })

  it('of a group over several streams is a conflict when one of them lacks its event', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, 'a group of this store has one stream only')
    const first = event('job-1')
    await appendOk(store, { 'job-1': 'none' }, first)
    const outcome = await appendOne(store, { 'job-1': 'none', 'job-2': 'none' }, first, event('job-2'))
    expect(outcome).toEqual({ kind: 'conflict', stream: 'job-1', actual: 0 })
    expect(await collect(store.readAll())).toHaveLength(1)
  })
}
