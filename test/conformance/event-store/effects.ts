import { describe, expect, it } from 'vitest'
import type { AppendGroup } from '../../../runtime/ports/event-store.js'
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
  type OwnTable,
  plainBody,
  type StoreFactory,
  type StoreUnderTest,
} from './harness.js'

export function effectsTests(factory: StoreFactory): void {
  describe('that succeed', () => successTests(factory))
  describe('that fail', () => failureTests(factory))
  describe('that use the store', () => nestedTests(factory))
}

const never = (): AbortSignal => new AbortController().signal

const NO_TRANSACTIONS = 'the store knows no transaction of the caller'

export function ownTableOf({ ownTable }: StoreUnderTest): OwnTable {
  if (ownTable === undefined) throw new Error('A store with the capability `transactions` needs `ownTable`.')
  return ownTable
}

/** Goes on when something is done that may be synchronous, as it is where effects have to be. */
export function after(done: unknown, next: () => unknown): unknown {
  return done instanceof Promise ? done.then(next) : next()
}

/** A group whose effects write one row and then fail, if told so. */
function writing(plain: AppendGroup, table: OwnTable, text: string, failure?: unknown): AppendGroup {
  const fail = (): void => {
    if (failure !== undefined) throw failure
  }
  return { ...plain, effects: (transaction) => after(table.insert(transaction, text), fail) }
}

function successTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('are refused where there are no transactions, and never called; other groups are stored', async (context) => {
    const { store } = under()
    context.skip(store.capabilities.transactions, 'the store has transactions')
    let called = 0
    const outcomes = await store.append([
      { ...group({ 'job-1': 'none' }, event('job-1')), effects: () => (called += 1) },
      group({ 'job-2': 'none' }, event('job-2')),
    ])
    expect(outcomes).toEqual([
      { kind: 'rejected', error: expect.any(StoreRefused) },
      expect.objectContaining({ kind: 'ok' }),
    ])
    expect(called).toBe(0)
    expect((await collect(store.readAll())).map(({ stream }) => stream)).toEqual(['job-2'])
  })

  it('are there with the events, and called once', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const table = ownTableOf(under())
    const outcomes = await store.append([
      group({ 'job-1': 'none' }, ...events('job-1', 2)),
      writing(group({ 'job-1': 1 }, event('job-1')), table, 'first'),
      group({ 'job-2': 'none' }, event('job-2')),
      writing(group({ 'job-2': 0, 'job-3': 'none' }, event('job-2'), event('job-3')), table, 'second'),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'ok', 'ok', 'ok'])
    const log = await collect(store.readAll())
    expect(log.map(({ stream }) => stream)).toEqual(['job-1', 'job-1', 'job-1', 'job-2', 'job-2', 'job-3'])
    expect(outcomes.map((outcome) => 'position' in outcome && outcome.position)).toEqual(
      [1, 2, 3, 5].map((index) => log[index]?.position),
    )
    expect(await table.rows()).toEqual(['first', 'second'])
  })

  it('are called once also when a later group of the call conflicts with what is not looked at before', async (context) => {
    const { store, openSecond } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    if (openSecond === undefined) return context.skip('the store has one handle only')
    const table = ownTableOf(under())
    const second = await openSecond()
    await appendOk(second, { 'job-1': 'none' }, event('job-1'))
    let called = 0
    const once = (transaction: unknown): unknown => {
      called += 1
      return table.insert(transaction, 'once')
    }
    const outcomes = await store.append([
      { ...group({ 'job-2': 'none' }, event('job-2')), effects: once },
      group({ 'job-1': 'none' }, event('job-1')),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'conflict'])
    expect(called).toBe(1)
    expect(await table.rows()).toEqual(['once'])
    await second.close()
  })

  it('of a group that conflicts are not called', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const table = ownTableOf(under())
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const outcomes = await store.append([
      writing(group({ 'job-1': 'none' }, event('job-1')), table, 'never'),
      writing(group({ 'job-1': 0 }, event('job-1')), table, 'once'),
    ])
    expect(kindsOf(outcomes)).toEqual(['conflict', 'ok'])
    expect(await table.rows()).toEqual(['once'])
  })

  it('of a group that is stored already are not called again', async (context) => {
    const { store, openSecond } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const table = ownTableOf(under())
    const once = writing(group({ 'job-1': 'none' }, ...events('job-1', 2)), table, 'once')
    const [first, repeated] = await store.append([once, once])
    expect(first?.kind).toBe('ok')
    expect(repeated).toEqual(first)
    await appendOk(store, { 'job-1': 1 }, event('job-1'))
    expect(await store.append([once])).toEqual([first])
    const second = (await openSecond?.()) ?? store
    expect(await second.append([once])).toEqual([first])
    if (second !== store) await second.close()
    expect(await table.rows()).toEqual(['once'])
  })

  it('go with what the group erases and removes', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const table = ownTableOf(under())
    for (const stream of ['job-1', 'job-2'])
      await appendOk(store, { [stream]: 'none' }, event(stream, { body: body('x') }))
    const told = group({ 'job-1': 0, 'job-2': 0 }, event('job-1'))
    const outcomes = await store.append([
      { ...writing(told, table, 'done'), erase: [{ stream: 'job-1', revision: 0 }], remove: ['job-2'] },
    ])
    expect(kindsOf(outcomes)).toEqual(['ok'])
    const read = await collect(store.readAll({ bodies: true }))
    expect(read.map(({ stream }) => stream)).toEqual(['job-1', 'job-1'])
    expect(plainBody(read[0])).toHaveProperty('hash')
    expect(await table.rows()).toEqual(['done'])
  })
}

function failureTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('leave nothing of their group; its neighbours, with and without effects, are stored', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const table = ownTableOf(under())
    for (const stream of ['job-1', 'job-2'])
      await appendOk(store, { [stream]: 'none' }, event(stream, { body: body('x') }))
    const failure = new RangeError('no such customer')
    const wide = group({ 'job-1': 0, 'job-2': 0, 'job-3': 'none' }, ...events('job-1', 15), event('job-3'))
    const outcomes = await store.append([
      group({ 'job-4': 'none' }, event('job-4')),
      { ...writing(wide, table, 'never', failure), erase: [{ stream: 'job-1', revision: 0 }], remove: ['job-2'] },
      group({ 'job-3': 'none', 'job-2': 0 }, event('job-3')),
      writing(group({ 'job-1': 0, 'job-4': 0 }, event('job-1'), event('job-4')), table, 'stays'),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'rejected', 'ok', 'ok'])
    expect(outcomes[1]).toHaveProperty('error', failure)
    expect(await table.rows()).toEqual(['stays'])
    const log = await collect(store.readAll({ bodies: true }))
    expect(log.map(({ stream, revision }) => `${stream}@${revision}`)).toEqual([
      'job-1@0',
      'job-2@0',
      'job-4@0',
      'job-3@0',
      'job-1@1',
      'job-4@1',
    ])
    expect(plainBody(log[0])).toMatchObject({ content: 'x' })
    expect(log.at(-1)?.position).toBe(await store.head())
  })

  it('leave a store that goes on, for this handle and for others', async (context) => {
    const { store, openSecond } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const table = ownTableOf(under())
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const failing = group(
      { 'job-1': 0, 'job-2': 'none' },
      ...events('job-2', 3),
      event('job-1', { at: 1_900_000_000_000 }),
    )
    const outcomes = await store.append([writing(failing, table, 'never', new Error('no'))])
    expect(kindsOf(outcomes)).toEqual(['rejected'])
    expect(await store.positionAt(Number.MAX_SAFE_INTEGER)).toBe(await store.head())
    expect(await collect(store.readStream('job-2'))).toEqual([])
    const second = (await openSecond?.()) ?? store
    await appendOk(second, { 'job-2': 'none' }, event('job-2'))
    expect(await appendOne(store, { 'job-2': 2 }, event('job-2'))).toMatchObject({ kind: 'conflict', actual: 0 })
    await appendOk(store, { 'job-1': 0, 'job-2': 0 }, event('job-1', { at: 1_800_000_000_000 }), event('job-2'))
    expect(await store.positionAt(1_750_000_000_000)).toBe((await collect(store.readAll()))[1]?.position)
    if (second !== store) await second.close()
  })

  it('do not count as stored: the same group can be sent again', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const table = ownTableOf(under())
    const plain = group({ 'job-1': 'none' }, ...events('job-1', 2))
    const failing = writing(plain, table, 'never', new Error('no'))
    const working = writing(plain, table, 'once')
    expect(kindsOf(await store.append([failing, failing]))).toEqual(['rejected', 'rejected'])
    expect(kindsOf(await store.append([failing, working, failing]))).toEqual(['rejected', 'ok', 'ok'])
    expect(await table.rows()).toEqual(['once'])
    expect(await collect(store.readAll())).toHaveLength(2)
  })

  it('are told by an Error, whatever was thrown', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const table = ownTableOf(under())
    for (const thrown of ['no such customer', null, 42]) {
      const outcomes = await store.append([writing(group({ 'job-1': 'none' }, event('job-1')), table, 'never', thrown)])
      expect(outcomes).toEqual([{ kind: 'rejected', error: expect.any(Error) }])
      expect(outcomes[0]).toHaveProperty('error.message', expect.stringContaining(String(thrown)))
    }
    expect(await table.rows()).toEqual([])
  })

  it('are not told to subscribers, who see the log as it is read', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const table = ownTableOf(under())
    const batches = store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    await batches.next()
    const live = follow({ [Symbol.asyncIterator]: () => batches }, 7)
    await store.append([writing(group({ 'job-1': 'none' }, event('job-1')), table, 'never', new Error('no'))])
    await store.append([
      group({ 'job-2': 'none' }, ...events('job-2', 2)),
      writing(group({ 'job-2': 1 }, ...events('job-2', 12)), table, 'never', new Error('no')),
      writing(group({ 'job-2': 1, 'job-1': 'none' }, ...events('job-1', 2)), table, 'row'),
      group({ 'job-2': 1 }, ...events('job-2', 2)),
    ])
    await appendOk(store, { 'job-3': 'none' }, event('job-3'))
    const log = await collect(store.readAll())
    const seen = await live
    expect(seen.map(({ stream, revision, position }) => [stream, revision, position])).toEqual(
      log.map(({ stream, revision, position }) => [stream, revision, position]),
    )
    expect(idsOf(seen)).toEqual(idsOf(log))
  })
}

function nestedTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('read the events of their group, and append more in the same transaction', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    const live = follow(store.subscribe({ signal: never() }), 8)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    let readable: unknown
    const at = 1_800_000_000_000
    const chained = group({ 'job-2': 'none', 'job-1': 1 }, ...events('job-2', 2, { at }), event('job-1', { at }))
    const outcomes = await store.append([
      {
        ...group({ 'job-1': 0 }, event('job-1')),
        effects: (transaction) => {
          const mine = store.within(transaction)
          readable = mine.readStream('job-1')
          return after(mine.append([chained]), () => {})
        },
      },
      group({ 'job-2': 'none' }, event('job-2')),
      group({ 'job-1': 1 }, event('job-1')),
      group({ 'job-2': 1, 'job-1': 2, 'job-3': 'none' }, event('job-2', { at }), event('job-3', { at })),
    ])
    expect(kindsOf(outcomes)).toEqual(['ok', 'conflict', 'conflict', 'ok'])
    expect(await readable).toHaveLength(2)
    await appendOk(store, { 'job-3': 0 }, event('job-3'))
    const log = await collect(store.readAll())
    expect(log.map(({ stream, revision }) => `${stream}@${revision}`)).toEqual([
      'job-1@0',
      'job-1@1',
      'job-2@0',
      'job-2@1',
      'job-1@2',
      'job-2@2',
      'job-3@0',
      'job-3@1',
    ])
    expect(outcomes[0]).toEqual({ kind: 'ok', position: log[1]?.position })
    expect(idsOf(await live)).toEqual(idsOf(log))
  })

  it('that fail take back what they have appended', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.transactions, NO_TRANSACTIONS)
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    const fail = (): void => {
      throw new Error('no')
    }
    const outcomes = await store.append([
      {
        ...group({ 'job-1': 0 }, event('job-1')),
        effects: (transaction) =>
          after(store.within(transaction).append([group({ 'job-2': 'none' }, ...events('job-2', 2))]), fail),
      },
      group({ 'job-2': 'none' }, event('job-2')),
    ])
    expect(kindsOf(outcomes)).toEqual(['rejected', 'ok'])
    await appendOk(store, { 'job-2': 0, 'job-1': 0 }, event('job-2'))
    expect((await collect(store.readAll())).map(({ stream }) => stream)).toEqual(['job-1', 'job-2', 'job-2'])
  })
}
