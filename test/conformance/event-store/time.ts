import fc from 'fast-check'
import { expect, it } from 'vitest'
import { appendOk, collect, event, events, freshStores, type StoreFactory, type StoreUnderTest } from './harness.js'

/** Appends one event for each time and gives back their positions. */
async function log({ store }: StoreUnderTest, times: readonly number[], stream = 'clock-1'): Promise<string[]> {
  const from = (await store.head()) === '' ? 'none' : (await collect(store.readStream(stream))).length - 1
  await appendOk(store, { [stream]: from }, ...times.map((at) => event(stream, { at })))
  return (await collect(store.readAll())).map(({ position }) => position)
}

export function timeTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it("the head of an empty log is ''", async () => {
    expect(await under().store.head()).toBe('')
    expect(await under().store.positionAt(Number.MAX_SAFE_INTEGER)).toBe('')
  })

  it('positions grow, as strings, over powers of ten', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, ...events('job-1', 1005))
    const positions = (await collect(store.readAll())).map(({ position }) => position)
    expect(new Set(positions).size).toBe(1005)
    expect([...positions].sort()).toEqual(positions)
    expect(positions[0] !== undefined && '' < positions[0]).toBe(true)
    expect(await store.head()).toBe(positions.at(-1))
  })

  it('the position at an instant is that of the last event until then', async () => {
    const positions = await log(under(), [1000, 2000, 2000, 9000])
    const { store } = under()
    expect(await store.positionAt(999)).toBe('')
    expect(await store.positionAt(1000)).toBe(positions[0])
    expect(await store.positionAt(1999)).toBe(positions[0])
    expect(await store.positionAt(2000)).toBe(positions[2])
    expect(await store.positionAt(8999)).toBe(positions[2])
    expect(await store.positionAt(9000)).toBe(positions[3])
    expect(await store.positionAt(1e15)).toBe(positions[3])
  })

  it('a clock that went back hides what follows until the instant it had reached', async () => {
    const positions = await log(under(), [5000, 90_000, 6000, 7000, 95_000])
    const { store } = under()
    expect(await store.positionAt(7000)).toBe(positions[0])
    expect(await store.positionAt(89_999)).toBe(positions[0])
    expect(await store.positionAt(90_000)).toBe(positions[3])
    expect(await store.positionAt(95_000)).toBe(positions[4])
  })

  it('is exact for any clock', async () => {
    const step = fc.oneof(
      fc.integer({ min: -3000, max: 3000 }),
      fc.constantFrom(0, 1, 999, 1000, 1001, 60_000, -60_000),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), fc.nat(), async (steps, seed) => {
        const fresh = await factory()
        let now = 1_000_000
        const times = steps.map((each) => (now += each))
        const positions = await log(fresh, times)
        for (const instant of [...times, (times[seed % times.length] ?? 0) - 1, 0]) {
          const later = times.findIndex((at) => at > instant)
          const expected = later === -1 ? positions.at(-1) : (positions[later - 1] ?? '')
          expect(await fresh.store.positionAt(instant)).toBe(expected)
        }
        await fresh.dispose()
      }),
      { numRuns: 40 },
    )
  })

  it('is exact when two handles write in turn', async (context) => {
    const { store, openSecond } = under()
    if (openSecond === undefined) return context.skip('the store has one handle only')
    const second = await openSecond()
    for (let turn = 0; turn < 6; turn += 1) {
      await appendOk(
        turn % 2 === 0 ? store : second,
        { [`job-${turn}`]: 'none' },
        event(`job-${turn}`, { at: 1000 + turn * 700 }),
      )
    }
    const positions = (await collect(store.readAll())).map(({ position }) => position)
    for (let turn = 0; turn < 6; turn += 1) expect(await store.positionAt(1000 + turn * 700)).toBe(positions[turn])
    await second.close()
  })
}
