import { expect, it } from 'vitest'
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

export function transactionTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  /** Runs `work` in a transaction of the caller's own. */
  function own(end: 'commit' | 'rollback', work: (transaction: unknown) => Promise<void> | void): Promise<void> {
    const { ownTransaction } = under()
    if (ownTransaction === undefined)
      throw new Error('A store with the capability `transactions` needs `ownTransaction`.')
    return ownTransaction(end, work)
  }

  it('is refused where there is none', (context) => {
    const { store } = under()
    context.skip(store.capabilities.transactions, 'the store has transactions')
    expect(() => store.within({})).toThrow(StoreRefused)
  })

  it('is refused when it is something else', (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, 'the store knows no transaction of the caller')
    for (const wrong of [undefined, null, {}, 'BEGIN']) expect(() => store.within(wrong)).toThrow(StoreRefused)
  })

  it('what is appended in it is there once it commits', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, 'the store knows no transaction of the caller')
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const written = [event('job-1', { body: body('{"n":1}') }), event('job-2')]
    await own('commit', async (transaction) => {
      const outcomes = await store.within(transaction).append([group({ 'job-1': 0, 'job-2': 'none' }, ...written)])
      expect(kindsOf(outcomes)).toEqual(['ok'])
    })
    const read = await collect(store.readAll({ bodies: true }))
    expect(idsOf(read).slice(1)).toEqual(idsOf(written))
    expect(read.map(plainBody).slice(1)).toEqual(
      written.map((each) => plainBody({ ...each, revision: 0, position: '' })),
    )
    expect(await appendOne(store, { 'job-1': 0 }, event('job-1'))).toMatchObject({ kind: 'conflict', actual: 1 })
    await appendOk(store, { 'job-2': 0, 'job-1': 1 }, event('job-2'), event('job-1'))
  })

  it('nothing of it is there when it is rolled back', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, 'the store knows no transaction of the caller')
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await own('rollback', async (transaction) => {
      await store.within(transaction).append([group({ 'job-1': 0, 'job-2': 'none' }, event('job-1'), event('job-2'))])
    })
    expect(await collect(store.readAll())).toHaveLength(1)
    await appendOk(store, { 'job-1': 0, 'job-2': 'none' }, event('job-1'), event('job-2'))
  })

  it('a group that conflicts leaves nothing in it, the others stay', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, 'the store knows no transaction of the caller')
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 2))
    await own('commit', async (transaction) => {
      const outcomes = await store
        .within(transaction)
        .append([
          group({ 'job-2': 'none' }, event('job-2')),
          group({ 'job-3': 'none', 'job-1': 0 }, event('job-3'), event('job-1')),
          group({ 'job-2': 0 }, event('job-2')),
          group({ 'job-1': 'none' }, event('job-1')),
        ])
      expect(kindsOf(outcomes)).toEqual(['ok', 'conflict', 'ok', 'conflict'])
      expect(outcomes[1]).toMatchObject({ stream: 'job-1', actual: 1 })
    })
    expect((await collect(store.readAll())).map(({ stream }) => stream)).toEqual(['job-1', 'job-1', 'job-2', 'job-2'])
  })

  it('reads what it has written, and several appends build on each other', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, 'the store knows no transaction of the caller')
    await own('commit', async (transaction) => {
      const mine = store.within(transaction)
      expect(await mine.readStream('job-1')).toEqual([])
      await mine.append([group({ 'job-1': 'none' }, ...events('job-1', 2, { body: body('x') }))])
      expect(kindsOf(await store.within(transaction).append([group({ 'job-1': 1 }, event('job-1'))]))).toEqual(['ok'])
      const read = await mine.readStream('job-1', { bodies: true })
      expect(read.map(({ revision, body: found }) => [revision, found === undefined])).toEqual([
        [0, false],
        [1, false],
        [2, true],
      ])
      expect((await mine.readStream('job-1', { backwards: true, limit: 1 }))[0]?.revision).toBe(2)
    })
    expect(await collect(store.readStream('job-1'))).toHaveLength(3)
  })

  it('a repetition in it is ok', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, 'the store knows no transaction of the caller')
    const all = events('job-1', 2)
    const position = await appendOk(store, { 'job-1': 'none' }, ...all)
    await own('commit', async (transaction) => {
      const outcomes = await store.within(transaction).append([group({ 'job-1': 'none' }, ...all)])
      expect(outcomes).toEqual([{ kind: 'ok', position }])
    })
    expect(await collect(store.readAll())).toHaveLength(2)
  })

  it('a group that erases, removes or has effects is refused in it, the others are stored', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, 'the store knows no transaction of the caller')
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { body: body('x') }))
    let called = 0
    await own('commit', async (transaction) => {
      const outcomes = await store
        .within(transaction)
        .append([
          { ...group({ 'job-2': 'none' }, event('job-2')), erase: [{ stream: 'job-1', revision: 0 }] },
          { ...group({ 'job-3': 'none', 'job-1': 0 }, event('job-3')), remove: ['job-1'] },
          { ...group({ 'job-4': 'none' }, event('job-4')), effects: () => (called += 1) },
          group({ 'job-5': 'none' }, event('job-5')),
        ])
      const refusal = { kind: 'rejected', error: expect.any(StoreRefused) }
      expect(outcomes).toEqual([refusal, refusal, refusal, expect.objectContaining({ kind: 'ok' })])
    })
    expect(called).toBe(0)
    const read = await collect(store.readAll({ bodies: true }))
    expect(read.map(({ stream }) => stream)).toEqual(['job-1', 'job-5'])
    expect(plainBody(read[0])).toMatchObject({ content: 'x' })
  })

  it('subscribers hear of it after it commits', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, 'the store knows no transaction of the caller')
    const seen = follow(store.subscribe({ signal: new AbortController().signal }), 3)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await own('rollback', async (transaction) => {
      await store.within(transaction).append([group({ 'job-9': 'none' }, event('job-9'))])
    })
    await own('commit', async (transaction) => {
      await store.within(transaction).append([group({ 'job-2': 'none' }, event('job-2'))])
    })
    await appendOk(store, { 'job-3': 'none' }, event('job-3'))
    expect((await seen).map(({ stream }) => stream)).toEqual(['job-1', 'job-2', 'job-3'])
  })
}
