import { expect, it } from 'vitest'
import type { EventStore } from '../../../runtime/ports/event-store.js'
import {
  appendOk,
  appendOne,
  collect,
  event,
  events,
  freshStores,
  group,
  idsOf,
  kindsOf,
  type StoreFactory,
} from './harness.js'

async function appendAndLook(store: EventStore, stream: string): Promise<{ kind: string; revisions: number[] }> {
  const outcome = await appendOne(store, { [stream]: 'none' }, event(stream))
  const found = await collect(store.readStream(stream))
  return { kind: outcome?.kind ?? '', revisions: found.map(({ revision }) => revision) }
}

export function appendTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it("'none' is right for a stream that was never written", async () => {
    const { store } = under()
    const first = event('job-1')
    const outcome = await appendOne(store, { 'job-1': 'none' }, first)
    expect(outcome).toEqual({ kind: 'ok', position: await store.head() })
    const [recorded] = await collect(store.readStream('job-1'))
    expect(recorded).toMatchObject({ id: first.id, revision: 0, stream: 'job-1', type: first.type, at: first.at })
  })

  it('a revision is wrong for a stream that was never written', async () => {
    const outcome = await appendOne(under().store, { 'job-1': 0 }, event('job-1'))
    expect(outcome).toEqual({ kind: 'conflict', stream: 'job-1', actual: 'none' })
  })

  it("'none' is wrong for a stream that is there", async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 3))
    const outcome = await appendOne(store, { 'job-1': 'none' }, event('job-1'))
    expect(outcome).toEqual({ kind: 'conflict', stream: 'job-1', actual: 2 })
  })

  it('the present revision is right, and revisions go on from it', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 2))
    await appendOk(store, { 'job-1': 1 }, ...events('job-1', 2))
    expect((await collect(store.readStream('job-1'))).map(({ revision }) => revision)).toEqual([0, 1, 2, 3])
  })

  it('a stale revision is wrong', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 3))
    const outcome = await appendOne(store, { 'job-1': 1 }, event('job-1'))
    expect(outcome).toEqual({ kind: 'conflict', stream: 'job-1', actual: 2 })
  })

  it('a revision ahead of the stream is wrong: no gap can come about', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const outcome = await appendOne(store, { 'job-1': 1 }, event('job-1'))
    expect(outcome).toEqual({ kind: 'conflict', stream: 'job-1', actual: 0 })
    expect(await collect(store.readStream('job-1'))).toHaveLength(1)
  })

  it('what another handle has written counts', async (context) => {
    const { store, openSecond } = under()
    if (openSecond === undefined) return context.skip('the store has one handle only')
    const second = await openSecond()
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await appendOk(second, { 'job-1': 0 }, event('job-1'))
    await appendOk(second, { 'job-2': 'none' }, event('job-2'))
    expect(await appendOne(store, { 'job-1': 0 }, event('job-1'))).toMatchObject({ kind: 'conflict', actual: 1 })
    expect(await appendOne(store, { 'job-2': 'none' }, event('job-2'))).toMatchObject({ kind: 'conflict', actual: 0 })
    await appendOk(store, { 'job-1': 1 }, event('job-1'))
    await second.close()
  })

  it('a call without groups has no outcomes', async () => {
    expect(await under().store.append([])).toEqual([])
  })

  it('each group has its own outcome; one that conflicts is left out, the others are stored', async () => {
    const { store } = under()
    await appendOk(store, { 'job-taken': 'none' }, event('job-taken'))
    const outcomes = await store.append([
      group({ 'job-a': 'none' }, event('job-a')),
      group({ 'job-taken': 'none' }, event('job-taken')),
      group({ 'job-b': 'none' }, ...events('job-b', 2)),
      group({ 'job-ahead': 5 }, event('job-ahead')),
      group({ 'job-taken': 0 }, event('job-taken')),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'conflict', 'ok', 'conflict', 'ok'])
    expect((await collect(store.readAll())).map(({ stream }) => stream)).toEqual([
      'job-taken',
      'job-a',
      'job-b',
      'job-b',
      'job-taken',
    ])
  })

  it('a group may build on what an earlier group of the same call brings', async () => {
    const { store } = under()
    const outcomes = await store.append([
      group({ 'job-1': 'none' }, ...events('job-1', 2)),
      group({ 'job-1': 1 }, event('job-1')),
      group({ 'job-1': 1 }, event('job-1')),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'ok', 'conflict'])
    expect(outcomes[2]).toMatchObject({ actual: 2 })
    expect(await collect(store.readStream('job-1'))).toHaveLength(3)
  })

  it('many groups in one call keep their order', async () => {
    const { store } = under()
    const all = Array.from({ length: 537 }, (_, index) => event(`job-${index}`))
    const outcomes = await store.append(all.map((each) => group({ [each.stream]: 'none' }, each)))
    expect(outcomes.every(({ kind }) => kind === 'ok')).toBe(true)
    const recorded = await collect(store.readAll())
    expect(idsOf(recorded)).toEqual(idsOf(all))
    expect(outcomes.map((outcome) => 'position' in outcome && outcome.position)).toEqual(
      recorded.map(({ position }) => position),
    )
  })

  it('of many that race for the same place exactly one wins', async () => {
    const { store, openSecond } = under()
    const handles = openSecond === undefined ? [store] : [store, await openSecond()]
    for (const expected of ['none', 0, 1] as const) {
      const tries = Array.from({ length: 120 }, (_, index) => ({
        stream: `job-${index % 6}`,
        handle: handles[index % handles.length],
      }))
      const outcomes = await Promise.all(
        tries.map(({ stream, handle }) => appendOne(handle ?? store, { [stream]: expected }, event(stream))),
      )
      const winners = tries.filter((_, index) => outcomes[index]?.kind === 'ok').map(({ stream }) => stream)
      expect(winners.sort()).toEqual(['job-0', 'job-1', 'job-2', 'job-3', 'job-4', 'job-5'])
      expect(new Set(outcomes.map((outcome) => outcome?.kind))).toEqual(new Set(['ok', 'conflict']))
    }
    await handles[1]?.close()
  })

  it('who loses a race can read at once what stood in the way', async () => {
    const { store, openSecond } = under()
    const rival = (await openSecond?.()) ?? store
    for (let round = 0; round < 30; round += 1) {
      const stream = `job-${round}`
      const outcomes = await Promise.all([store, rival].map((handle) => appendAndLook(handle, stream)))
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['conflict', 'ok'])
      for (const { revisions } of outcomes) expect(revisions).toEqual([0])
    }
    if (rival !== store) await rival.close()
  })

  it.each([
    ['without events', () => group({ 'job-1': 'none' })],
    ['with an event of a stream it does not expect', () => group({ 'job-1': 'none' }, event('job-2'))],
    ['with a negative revision', () => group({ 'job-1': -1 }, event('job-1'))],
    ['with half a revision', () => group({ 'job-1': 0.5 }, event('job-1'))],
    ['with a stream that has no name', () => group({ '': 'none' }, event(''))],
    ['with a stream name of broken Unicode', () => group({ 'job-\ud800': 'none' }, event('job-\ud800'))],
    ['with a time that is no whole number', () => group({ 'job-1': 'none' }, event('job-1', { at: Number.NaN }))],
    ['with an event type of the store itself', () => group({ 'job-1': 'none' }, event('job-1', { type: '$removed' }))],
    [
      'that removes a stream it does not expect',
      () => ({ ...group({ 'job-1': 'none' }, event('job-1')), remove: ['job-2'] }),
    ],
    [
      'that removes a stream it appends to',
      () => ({ ...group({ 'job-1': 'none' }, event('job-1')), remove: ['job-1'] }),
    ],
  ])('a group %s is a mistake of the caller, and nothing of the call is stored', async (_, wrong) => {
    const { store } = under()
    await expect(store.append([group({ 'job-0': 'none' }, event('job-0')), wrong()])).rejects.toThrow(TypeError)
    expect(await store.head()).toBe('')
  })

  it('facts that JSON cannot hold are a mistake of the caller, and nothing of the call is stored', async () => {
    const { store } = under()
    const wrong = group({ 'job-1': 'none' }, event('job-1'), event('job-1', { data: { amount: 1n } }))
    await expect(store.append([group({ 'job-0': 'none' }, event('job-0')), wrong])).rejects.toThrow(TypeError)
    expect(await store.head()).toBe('')
    await appendOk(store, { 'job-0': 'none' }, event('job-0'))
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
  })
}
