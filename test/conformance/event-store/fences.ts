import { expect, it } from 'vitest'
import { StoreRefused } from '../../../runtime/ports/event-store.js'
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

export function fenceTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('are refused by a store without atomic groups, and the other groups are stored', async (context) => {
    const { store } = under()
    context.skip(store.capabilities.atomicGroups, 'the store has atomic groups')
    const wide = group({ 'job-1': 'none', 'job-2': 'none' }, event('job-1'), event('job-2'))
    const outcomes = await store.append([wide, group({ 'job-3': 'none' }, event('job-3'))])
    expect(outcomes).toEqual([
      { kind: 'rejected', error: expect.any(StoreRefused) },
      expect.objectContaining({ kind: 'ok' }),
    ])
    expect((await collect(store.readAll())).map(({ stream }) => stream)).toEqual(['job-3'])
  })

  it('are stored whole, in the order given', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, 'a group of this store has one stream only')
    await appendOk(store, { 'job-2': 'none' }, event('job-2'))
    const position = await appendOk(
      store,
      { 'job-1': 'none', 'job-2': 0, 'job-3': 'none' },
      event('job-1'),
      event('job-2'),
      event('job-3'),
      event('job-1'),
    )
    const recorded = await collect(store.readAll())
    expect(recorded.map(({ stream, revision }) => `${stream}@${revision}`)).toEqual([
      'job-2@0',
      'job-1@0',
      'job-2@1',
      'job-3@0',
      'job-1@1',
    ])
    expect(recorded.at(-1)?.position).toBe(position)
  })

  it('leave nothing behind when one of the streams is not where it was expected', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, 'a group of this store has one stream only')
    await appendOk(store, { 'job-3': 'none' }, ...events('job-3', 2))
    const all = [event('job-1'), event('job-2'), event('job-3')]
    const outcome = await appendOne(store, { 'job-1': 'none', 'job-2': 'none', 'job-3': 0 }, ...all)
    expect(outcome).toEqual({ kind: 'conflict', stream: 'job-3', actual: 1 })
    expect(await collect(store.readAll())).toHaveLength(2)
    await appendOk(store, { 'job-1': 'none', 'job-2': 'none', 'job-3': 1 }, ...all)
  })

  it('a stream that is only read must stand where it was seen', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, 'a group of this store has one stream only')
    await appendOk(store, { 'queue-a': 'none' }, event('queue-a'))
    await appendOk(store, { 'job-1': 'none', 'queue-a': 0, 'queue-b': 'none' }, event('job-1'))
    await appendOk(store, { 'queue-a': 0 }, event('queue-a'))
    const stale = await appendOne(store, { 'job-2': 'none', 'queue-a': 0 }, event('job-2'))
    expect(stale).toEqual({ kind: 'conflict', stream: 'queue-a', actual: 1 })
    expect(await collect(store.readStream('job-2'))).toEqual([])
    expect(await collect(store.readStream('queue-a'))).toHaveLength(2)
  })

  it('a stream that is only read and believed to be missing must be missing', async (context) => {
    const { store, openSecond } = under()
    context.skip(!store.capabilities.atomicGroups, 'a group of this store has one stream only')
    const writer = (await openSecond?.()) ?? store
    await appendOk(writer, { 'queue-a': 'none' }, event('queue-a'))
    const outcome = await appendOne(store, { 'queue-a': 'none', 'job-1': 'none' }, event('job-1'))
    expect(outcome).toEqual({ kind: 'conflict', stream: 'queue-a', actual: 0 })
    if (writer !== store) await writer.close()
  })

  it('see what earlier groups of the same call have done to the streams they only read', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, 'a group of this store has one stream only')
    const outcomes = await store.append([
      group({ 'queue-a': 'none' }, event('queue-a')),
      group({ 'queue-a': 'none', 'job-1': 'none' }, event('job-1')),
      group({ 'queue-a': 0, 'job-2': 'none' }, event('job-2')),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'conflict', 'ok'])
  })

  it('of many that race for two streams each, one wins each stream', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.atomicGroups, 'a group of this store has one stream only')
    const pairs = Array.from({ length: 60 }, (_, index) => [`unique-${index % 5}`, `job-${index}`] as const)
    const outcomes = await Promise.all(
      pairs.map(([unique, job]) => appendOne(store, { [unique]: 'none', [job]: 'none' }, event(unique), event(job))),
    )
    expect(outcomes.filter((outcome) => outcome?.kind === 'ok')).toHaveLength(5)
    expect(await collect(store.readAll())).toHaveLength(10)
  })
}
