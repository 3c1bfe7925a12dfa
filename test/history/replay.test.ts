import { expect, test } from 'vitest'
import { testLedger } from '../../adapters/testing/test-ledger.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Projection } from '../../projections/fold.js'
import { replay } from '../../runtime/history/replay.js'
import { defineJob } from '../../runtime/work/run/definition.js'

const note = defineJob({ type: 'note', handle: (text: string) => text })

/** Three jobs, an hour apart, the second in another queue. */
async function lived() {
  const ledger = await testLedger({ jobs: [note] })
  const events: RecordedEvent[] = []
  ledger.events$.subscribe((event) => events.push(event))
  for (const [id, queue] of [
    ['a', 'default'],
    ['b', 'other'],
    ['c', 'default'],
  ] as const) {
    await ledger.enqueue(note, id, { id, queue })
    await ledger.advance('1h')
  }
  return { ledger, events, of: (id: string) => events.filter(({ stream }) => stream === `job-${id}`) }
}

async function all<Thing>(things: AsyncIterable<Thing>): Promise<Thing[]> {
  const found: Thing[] = []
  for await (const thing of things) found.push(thing)
  return found
}

const ids = (events: readonly RecordedEvent[]): string[] => events.map(({ id }) => id)

test('all events come, in order, without bodies unless they are asked for', async () => {
  const { ledger, events } = await lived()
  const again = await all(ledger.replay())
  expect(ids(again)).toEqual(ids(events))
  expect(again.every(({ body }) => body === undefined)).toBe(true)
  const [queued] = await all(ledger.replay({ filter: { types: 'Queued' }, bodies: true }))
  expect(queued?.body).toMatchObject({ content: expect.stringContaining('a') })
  await ledger.close()
})

test('of a range: an instant belongs to it, a position is what it comes after', async () => {
  const { ledger, of } = await lived()
  const [b] = of('b') as [RecordedEvent]
  const { filter } = { filter: { streams: 'job-' } }
  expect(ids(await all(ledger.replay({ from: b.at, until: b.at, filter })))).toEqual(ids(of('b')))
  expect(ids(await all(ledger.replay({ from: { position: b.position }, until: b.at, filter })))).toEqual(
    ids(of('b').slice(1)),
  )
  expect(await all(ledger.replay({ until: b.at - 1, from: b.at - 1 }))).toEqual([])
  await ledger.close()
})

test('of a filter: by job, queue, stream and type', async () => {
  const { ledger, of } = await lived()
  await ledger.queues.pause('other')
  expect(ids(await all(ledger.replay({ filter: { job: ['a', 'c'] } })))).toEqual(ids([...of('a'), ...of('c')]))
  const other = await all(ledger.replay({ filter: { queue: 'other' } }))
  expect(ids(other.slice(0, -1))).toEqual(ids(of('b')))
  expect(other.at(-1)?.type).toBe('QueuePaused')
  // Its first event lies before the range: the queue of a job is known all the same.
  const [b] = of('b') as [RecordedEvent]
  const later = await all(
    ledger.replay({ from: { position: b.position }, filter: { queue: 'other', types: 'Finished' } }),
  )
  expect(ids(later)).toEqual([of('b').at(-1)?.id])
  await ledger.close()
})

test('through a projection: the rows as they become', async () => {
  const { ledger } = await lived()
  const perQueue: Projection<{ n: number }> = {
    name: 'per-queue',
    version: 1,
    key: ({ data }) => (data as { queue?: string }).queue,
    init: () => ({ n: 0 }),
    on: { Queued: ({ n }) => ({ n: n + 1 }) },
  }
  const steps = await all(ledger.replay({ through: perQueue }))
  expect(steps.map(({ key, row }) => [key, row])).toEqual([
    ['default', { n: 1 }],
    ['other', { n: 1 }],
    ['default', { n: 2 }],
  ])
  await ledger.close()
})

test('at a pace: ten times as fast as it was', async () => {
  const { ledger, of } = await lived()
  const clock = new VirtualClock(ledger.clock.now())
  const began = clock.now()
  const wholeLog = { readAll: () => pages([...of('a'), ...of('b'), ...of('c')]), head: async () => '9'.repeat(16) }
  const came: number[] = []
  const running = (async () => {
    const events = replay({ wholeLog: wholeLog as never, ports: { clock } }, { speed: 10, filter: { types: 'Queued' } })
    for await (const event of events as AsyncIterable<RecordedEvent>) {
      if (event.type === 'Queued') came.push(clock.now() - began)
    }
  })()
  await clock.advance('12m')
  await running
  expect(came).toEqual([0, 360_000, 720_000])
  await ledger.close()
})

async function* pages(events: RecordedEvent[]): AsyncIterable<RecordedEvent[]> {
  yield events
}

test('ends with the reason of its signal, also while it waits', async () => {
  const { ledger } = await lived()
  const stop = new AbortController()
  const events = ledger.replay({ speed: 1, signal: stop.signal })
  const reason = new Error('enough')
  const running = all(events)
  stop.abort(reason)
  await expect(running).rejects.toBe(reason)
  await ledger.close()
})

test.each([
  [{ speed: 0 }, 'replay.speed'],
  [{ speed: Number.POSITIVE_INFINITY }, 'replay.speed'],
  [{ form: 1 }, 'replay.form'],
  [{ filter: { queues: 'a' } }, 'replay.filter.queues'],
  [{ filter: { job: 5 } }, 'replay.filter.job'],
  [{ bodies: 'yes' }, 'replay.bodies'],
  [{ from: 'now' }, 'replay.from'],
  [{ through: { name: 'x', version: 0, init: () => 1, on: { Queued: () => 1 } } }, 'replay.through.version'],
  [{ through: { name: 'x', version: 1, init: () => 1, on: { Queued: 1 } } }, 'replay.through.on.Queued'],
])('refuses %j', async (options, told) => {
  const ledger = await testLedger({ jobs: [note] })
  expect(() => ledger.replay(options as never)).toThrow(told)
  await ledger.close()
})

test('refuses a beginning after the end', async () => {
  const { ledger, events } = await lived()
  const { at } = events[0] as RecordedEvent
  await expect(all(ledger.replay({ from: at + 2 * 3_600_000, until: at }))).rejects.toThrow('replay.from')
  // Told as it was given.
  await expect(all(ledger.replay({ from: '2999-01-01T00:00:00.000Z' }))).rejects.toThrow(
    'got "2999-01-01T00:00:00.000Z"',
  )
  await ledger.close()
})
