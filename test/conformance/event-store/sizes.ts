import { expect, it } from 'vitest'
import type { NewEvent } from '../../../domain/event.js'
import { appendOk, body, event, events, freshStores, group, type StoreFactory } from './harness.js'

/** The bytes of an event that are somebody's own words. */
function bytesOf({ data, metadata = {}, body: written }: NewEvent): number {
  const texts = [JSON.stringify(data), ...(Object.keys(metadata).length > 0 ? [JSON.stringify(metadata)] : [])]
  const content = written !== undefined && 'content' in written ? written.content : ''
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) + Buffer.byteLength(content)
}

const sum = (all: readonly NewEvent[]): number => all.reduce((bytes, each) => bytes + bytesOf(each), 0)

export function sizeTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('are the bytes of facts, metadata and bodies, in UTF-8', async () => {
    const { store } = under()
    const wide = [
      event('job-1', { data: { name: 'Ä€😀' }, metadata: { actor: 'Zoë' }, body: body('"Ä€😀"') }),
      event('job-1', { data: {}, metadata: {}, body: body(new Uint8Array([0, 1, 255])) }),
      event('job-1', { data: { n: 1 }, body: body('a\0b') }),
    ]
    const plain = events('job-2', 3)
    await appendOk(store, { 'job-1': 'none' }, ...wide)
    await appendOk(store, { 'job-2': 'none' }, ...plain)
    expect(await store.sizes(['job-1', 'job-2'])).toEqual([sum(wide), sum(plain)])
    await appendOk(store, { 'job-2': 2 }, event('job-2', { body: body('x'.repeat(50_000)) }))
    expect(await store.sizes(['job-2'])).toEqual([sum(plain) + 2 + 50_000])
  })

  it('are answered in the order asked, 0 for a stream that is not there', async () => {
    const { store } = under()
    const all = events('job-1', 2)
    await appendOk(store, { 'job-1': 'none' }, ...all)
    expect(await store.sizes([])).toEqual([])
    expect(await store.sizes(['job-2', 'job-1', '', 'job-', 'job-1'])).toEqual([0, sum(all), 0, 0, sum(all)])
  })

  it('go down when a body is erased, a stream truncated or removed', async (context) => {
    const { store } = under()
    context.skip(!store.capabilities.erase, 'the store cannot erase')
    const all = events('job-1', 3, { body: body('0123456789') })
    await appendOk(store, { 'job-1': 'none' }, ...all)
    await store.erase([{ stream: 'job-1', revision: 2 }])
    expect(await store.sizes(['job-1'])).toEqual([sum(all) - 10])
    await store.truncate('job-1', 2)
    expect(await store.sizes(['job-1'])).toEqual([sum(all.slice(2)) - 10])
    await store.remove(['job-1'])
    expect(await store.sizes(['job-1'])).toEqual([0])
  })

  it('count what another handle has written', async (context) => {
    const { store, openSecond } = under()
    if (openSecond === undefined) return context.skip('the store has one handle only')
    const second = await openSecond()
    expect(await store.sizes(['job-1'])).toEqual([0])
    const all = events('job-1', 2)
    await appendOk(second, { 'job-1': 'none' }, ...all)
    expect(await store.sizes(['job-1'])).toEqual([sum(all)])
    await second.close()
  })

  it('of very many streams come whole, and timers run meanwhile', async () => {
    const { store } = under()
    const written = Array.from({ length: 3000 }, (_, index) => event(`job-${index}`, { data: { index } }))
    await store.append(written.map((each) => group({ [each.stream]: 'none' }, each)))
    const names = Array.from({ length: 40_000 }, (_, index) => `job-${index}`)
    let turns = 0
    let asking = true
    const count = (): void => {
      turns += 1
      if (asking) setImmediate(count)
    }
    setImmediate(count)
    const sizes = await store.sizes(names)
    asking = false
    expect(sizes).toHaveLength(names.length)
    expect(sizes.slice(0, 3000)).toEqual(written.map(bytesOf))
    expect(sizes.slice(3000).every((size) => size === 0)).toBe(true)
    expect(turns).toBeGreaterThan(2)
  })
}
