/** Two archive at once, of whom one is held up before one of its steps: nothing is lost, nothing stays twice, each tells what it did. */
import { describe, expect, it } from 'vitest'
import { eventLine } from '../../domain/audit/bundle.js'
import type { AppendGroup, EventStore } from '../../runtime/ports/event-store.js'
import type { ArchiveWorld } from './archive-world.js'
import { archiveWorld, close, LATER, longAgo, NEAR } from './archive-world.js'
import { type Gate, gate } from './support.js'

/** Before the `nth` append with an event of this type it waits, once, until it is let go. */
function heldUp(store: EventStore, type: string, nth: number): { handle: EventStore; there: Gate; go: Gate } {
  const [there, go] = [gate(), gate()]
  let left = nth
  const append = async (groups: readonly AppendGroup[]): ReturnType<EventStore['append']> => {
    if (groups.some(({ events }) => events.some((event) => event.type === type))) left -= 1
    if (left === 0) {
      left -= 1
      there.open()
      await go.promise
    }
    return store.append(groups)
  }
  const handle = new Proxy(store, {
    get(target, key) {
      if (key === 'append') return append
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { handle, there, go }
}

const ofJobs = async (world: ArchiveWorld): Promise<string[]> =>
  (await world.texts())
    .filter(({ type, stream }) => type !== 'Condemned' && stream.startsWith('job-'))
    .map((event) => eventLine(event))

describe.each(NEAR)('who is held up while another archives (%s)', (kind) => {
  it.each([
    ['before it can say what it has sealed', 'SegmentSealed', 1],
    ['before the jobs leave for its segment', kind.includes('one') ? 'StreamsRemoved' : 'JobsRemoved', 1],
    ['before it can say which beginnings it has sealed', 'SegmentSealed', 2],
  ] as const)('%s', async (_, type, nth) => {
    await using world = await archiveWorld(kind)
    await longAgo(world)
    const before = await ofJobs(world)
    const clock = world.clock(LATER)
    const { handle, there, go } = heldUp(world.store, type, nth)
    const slow = await world.open(clock, { scheduler: false, handle })
    const fast = await world.open(clock, { scheduler: false })
    const slowly = slow.archive.run({ before: '90d' })
    await there.promise
    const quick = await fast.archive.run({ before: '90d' })
    go.open()
    const reports = [await slowly, quick]
    const sum = (key: 'jobs' | 'segments' | 'cut'): number => reports.reduce((total, report) => total + report[key], 0)
    expect(sum('jobs')).toBe(9)
    expect(reports.map(({ kept }) => kept)).toEqual([1, 1])
    expect(sum('cut')).toBeGreaterThan(0)
    // One for the jobs, one for the beginnings: whoever has sealed the same has taken it away again.
    expect(sum('segments')).toBe(2)
    expect(await world.segments.list()).toHaveLength(2)
    expect(await ofJobs(world)).toEqual(before)
    expect(await fast.archive.run({ before: '90d' })).toMatchObject({ jobs: 0, segments: 0, kept: 1 })
    expect((await slow.history('a')).length).toBeGreaterThan(3)
    for (const each of [slow, fast]) await close(each, clock)
  })
})
