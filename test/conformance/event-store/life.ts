import { expect, it } from 'vitest'
import { StoreClosed } from '../../../runtime/ports/event-store.js'
import {
  appendOk,
  appendOne,
  collect,
  event,
  events,
  follow,
  freshStores,
  group,
  type StoreFactory,
} from './harness.js'

export function lifeTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('an open store answers a ping, and has a log id that another log has not', async () => {
    const { store } = under()
    await store.ping()
    const other = await factory()
    expect(store.logId).toMatch(/^[0-9a-f-]{36}$/)
    expect(other.store.logId).not.toBe(store.logId)
    await other.dispose()
  })

  it('a second handle has the same log id', async (context) => {
    const { store, openSecond } = under()
    if (openSecond === undefined) return context.skip('the store has one handle only')
    const second = await openSecond()
    expect(second.logId).toBe(store.logId)
    await second.close()
  })

  it('an append issued just before ends, stored or rejected', async () => {
    const { store } = under()
    const pending = [
      appendOne(store, { 'job-1': 'none' }, event('job-1')),
      appendOne(store, { 'job-2': 'none' }, event('job-2')),
    ]
    const closing = store.close()
    for (const outcome of await Promise.all(pending)) expect(['ok', 'rejected']).toContain(outcome?.kind)
    await closing
  })

  it('twice is as good as once', async () => {
    const { store } = under()
    await Promise.all([store.close(), store.close()])
    await store.close()
  })

  it('afterwards an append is rejected with StoreClosed, group by group', async () => {
    const { store } = under()
    await store.close()
    const outcomes = await store.append(['job-1', 'job-2'].map((stream) => group({ [stream]: 'none' }, event(stream))))
    expect(outcomes).toEqual([1, 2].map(() => ({ kind: 'rejected', error: expect.any(StoreClosed) })))
  })

  it('afterwards every other call fails with StoreClosed', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, event('job-1'))
    await store.close()
    const calls = [
      () => store.head(),
      () => store.ping(),
      () => store.positionAt(0),
      () => store.sizes([]),
      () => store.erase([]),
      () => store.remove([]),
      () => store.truncate('job-1', 0),
      () => collect(store.readAll()),
      () => collect(store.readStream('job-1')),
      () => follow(store.subscribe({ signal: new AbortController().signal }), 1),
    ]
    for (const call of calls) await expect(call()).rejects.toThrow(StoreClosed)
  })

  it('a read that is under way fails rather than pretend to be whole', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 3000))
    const read = async (): Promise<void> => {
      for await (const page of store.readAll()) if (page.length > 0) await store.close()
    }
    await expect(read()).rejects.toThrow(StoreClosed)
  })
}
