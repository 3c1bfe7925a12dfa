/** What a server, or the way to it, does wrong: outcomes are right, nothing hangs, and nobody skips or repeats. Real time. */
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type EventStoreDBStore, openEventStore } from '../../adapters/eventstore/event-store.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { AppendGroup, AppendOutcome, EventStore } from '../../runtime/ports/event-store.js'
import { StoreRefused, StoreUnavailable } from '../../runtime/ports/event-store.js'
import {
  appendOk,
  body,
  collect,
  event,
  events,
  follow,
  group,
  idsOf,
  kindsOf,
} from '../conformance/event-store/harness.js'
import { type LogLine, listeningLogger } from '../engine/support.js'
import { startFakeProcess } from '../support/eventstore/process.js'
import { FakeEventStore } from '../support/eventstore/server.js'

interface Scene extends AsyncDisposable {
  readonly fake: FakeEventStore
  readonly store: EventStoreDBStore
  readonly lines: LogLine[]
}

async function scene(query = ''): Promise<Scene> {
  const fake = await FakeEventStore.start()
  const lines: LogLine[] = []
  const store = await openEventStore(fake.url(query), { logger: listeningLogger(lines) })
  return {
    ...{ fake, store, lines },
    async [Symbol.asyncDispose]() {
      await store.close()
      await fake.stop()
    },
  }
}

const never = (): AbortSignal => new AbortController().signal

const job = (n: number): AppendGroup => group({ [`job-${n}`]: 'none' }, event(`job-${n}`))

const jobs = (count: number): AppendGroup[] => Array.from({ length: count }, (_, n) => job(n))

/** Sends again what nobody can say anything of, or what could not be sent, until all is told. */
async function insist(store: EventStore, groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
  const outcomes = await store.append(groups)
  const open = outcomes.flatMap(({ kind }, index) => (kind === 'unknown' || kind === 'rejected' ? [index] : []))
  if (open.length === 0) return outcomes
  await pause(20)
  const later = await insist(
    store,
    open.flatMap((index) => groups[index] ?? []),
  )
  return outcomes.map((outcome, index) => (open.includes(index) ? (later.shift() ?? outcome) : outcome))
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5)
}

/** One event of the log is its own. */
const written = ({ fake }: Scene): number => fake.log.all.length - 1

async function expectOnce(store: EventStore, groups: readonly AppendGroup[]): Promise<void> {
  const ids = idsOf(groups.flatMap((each) => each.events))
  expect(idsOf(await collect(store.readAll())).sort()).toEqual([...ids].sort())
}

describe.concurrent('appends', () => {
  it('are sent without waiting for answers, 256 at most', async () => {
    await using at = await scene()
    at.fake.faults.mute = true
    const groups = jobs(400)
    const outcomes = at.store.append(groups)
    await until(() => written(at) === 256)
    await pause(50)
    expect(written(at)).toBe(256)
    at.fake.faults.mute = false
    at.fake.wire.cut()
    expect(kindsOf(await outcomes)).toEqual([...Array(256).fill('unknown'), ...Array(144).fill('ok')])
    expect(new Set(kindsOf(await at.store.append(groups)))).toEqual(new Set(['ok']))
    await expectOnce(at.store, groups)
  })

  it('are as many as make a MiB, and one that is larger goes alone', async () => {
    await using at = await scene()
    at.fake.faults.mute = true
    const groups = jobs(6).map(({ expect: expected, events: [first] }) => ({
      expect: expected,
      events: first === undefined ? [] : [{ ...first, body: body('x'.repeat(400_000)) }],
    }))
    const large = group({ 'job-large': 'none' }, event('job-large', { body: body('x'.repeat(3_000_000)) }))
    const outcomes = at.store.append([...groups, large])
    await until(() => written(at) === 2)
    await pause(50)
    expect(written(at)).toBe(2)
    at.fake.faults.mute = false
    at.fake.wire.cut()
    await outcomes
    expect(new Set(kindsOf(await insist(at.store, [...groups, large])))).toEqual(new Set(['ok']))
    await expectOnce(at.store, [...groups, large])
  })

  it.each([0, 1, 2])('under way when the server dies are stored once when they are sent again (%i)', async () => {
    await using at = await scene()
    const groups = jobs(300)
    at.fake.faults.delay = 20
    const outcomes = insist(at.store, groups)
    await until(() => written(at) > 50)
    await at.fake.kill()
    await pause(100)
    await at.fake.restart()
    expect(new Set(kindsOf(await outcomes))).toEqual(new Set(['ok']))
    await expectOnce(at.store, groups)
  })

  it('of a server that is gone are rejected: nothing was sent', async () => {
    await using at = await scene()
    await at.fake.kill()
    await at.store.append([job(0)])
    const [outcome] = await at.store.append([job(1)])
    expect(outcome).toEqual({ kind: 'rejected', error: expect.any(StoreUnavailable) })
    expect(outcome).toMatchObject({ error: { message: expect.stringMatching(/^esdb:.*nobody listens there/) } })
    await at.fake.restart()
    expect(kindsOf(await insist(at.store, [job(2)]))).toEqual(['ok'])
  })

  it('whose fate was left open are not said to be rejected by a later try', async () => {
    await using at = await scene()
    at.fake.faults.halfClose = true
    const groups = [job(0)]
    expect(kindsOf(await at.store.append(groups))).toEqual(['unknown'])
    await at.fake.kill()
    for (let tries = 0; tries < 3; tries += 1) expect(kindsOf(await at.store.append(groups))).toEqual(['unknown'])
    at.fake.faults.halfClose = false
    await at.fake.restart()
    expect(kindsOf(await insist(at.store, groups))).toEqual(['ok'])
    await expectOnce(at.store, groups)
  })

  it('on a stream that the server ends with OK are unknown, and the next ones go on another', async () => {
    await using at = await scene()
    at.fake.faults.halfClose = true
    const groups = jobs(50)
    expect(new Set(kindsOf(await at.store.append(groups)))).toEqual(new Set(['unknown']))
    at.fake.faults.halfClose = false
    expect(new Set(kindsOf(await at.store.append(groups)))).toEqual(new Set(['ok']))
    await expectOnce(at.store, groups)
  })

  it('into a black hole are unknown within ten seconds', async () => {
    await using at = await scene()
    at.fake.wire.hold()
    const groups = jobs(5)
    const begun = performance.now()
    expect(new Set(kindsOf(await at.store.append(groups)))).toEqual(new Set(['unknown']))
    expect(performance.now() - begun).toBeLessThan(10_000)
    at.fake.wire.letGo()
    expect(new Set(kindsOf(await insist(at.store, groups)))).toEqual(new Set(['ok']))
    await expectOnce(at.store, groups)
  })

  it('that come to a server that is not ready are unknown until it is', async () => {
    await using at = await scene()
    at.fake.faults.notReady = true
    const [outcome] = await at.store.append([job(0)])
    expect(outcome).toMatchObject({ kind: 'unknown', error: { message: expect.stringMatching(/Not Ready/) } })
    at.fake.faults.notReady = false
    expect(kindsOf(await at.store.append([job(0)]))).toEqual(['ok'])
  })

  it('go to the leader when another node has become it', async () => {
    await using at = await scene()
    await using leader = await FakeServer.start()
    at.fake.faults.leader = { host: '127.0.0.1', port: leader.fake.wire.port }
    expect(kindsOf(await insist(at.store, jobs(20)))).toEqual(Array(20).fill('ok'))
    expect(leader.fake.log.all).toHaveLength(20)
    expect(written(at)).toBe(0)
  })

  it('that the user may not make are rejected, others are stored', async () => {
    await using at = await scene()
    at.fake.faults.denied = ['queue-']
    const [denied, stored] = await at.store.append([group({ 'queue-a': 'none' }, event('queue-a')), job(0)])
    expect(denied).toMatchObject({
      kind: 'rejected',
      error: { message: expect.stringMatching(/may not write.*queue-a/) },
    })
    expect(stored?.kind).toBe('ok')
  })

  it('with more facts than the server takes, or an event larger than a record, are refused; others are stored', async () => {
    await using at = await scene()
    const outcomes = await at.store.append([
      group({ 'job-a': 'none' }, event('job-a', { data: { text: 'x'.repeat(1_100_000) } })),
      job(0),
      group({ 'job-b': 'none' }, event('job-b', { body: body('x'.repeat(16_000_000)) })),
      job(1),
    ])
    expect(kindsOf(outcomes)).toEqual(['rejected', 'ok', 'rejected', 'ok'])
    for (const index of [0, 2]) expect(outcomes[index]).toMatchObject({ error: expect.any(StoreRefused) })
  })

  it('of one store do not notice what becomes of another store in the same process', async () => {
    await using one = await scene()
    await using other = await scene()
    other.fake.faults.delay = 100
    const outcomes = other.store.append(jobs(100))
    const lost = one.store.append(jobs(100))
    await one.fake.kill()
    await lost
    expect(new Set(kindsOf(await outcomes))).toEqual(new Set(['ok']))
    expect(new Set(kindsOf(await other.store.append(jobs(100).slice(0, 1))))).toEqual(new Set(['conflict']))
  })

  it('that lose a race are told so when what stood in the way can be read', async () => {
    await using at = await scene()
    await using second = await another(at)
    at.fake.faults.lag = 30
    const outcomes = await Promise.all([at.store.append([job(0)]), second.store.append([job(0)])])
    expect(kindsOf(outcomes.flat()).sort()).toEqual(['conflict', 'ok'])
    const loser = outcomes[0]?.[0]?.kind === 'conflict' ? at.store : second.store
    expect(await collect(loser.readStream('job-0'))).toHaveLength(1)
  })
})

describe.concurrent('subscribers', () => {
  it('neither skip nor repeat while the server dies, comes back and drops connections', async () => {
    await using at = await scene()
    const total = 600
    const seen = follow(at.store.subscribe({ signal: never() }), total)
    const writing = writeAll(at.store, total)
    for (let round = 1; round <= 4; round += 1) {
      await until(() => written(at) >= round * 100)
      if (round % 2 === 0) at.fake.wire.cut()
      else {
        await at.fake.kill()
        await pause(150)
        await at.fake.restart()
      }
    }
    await writing
    expect(idsOf(await seen)).toEqual(idsOf(await collect(at.store.readAll())))
  })

  it('that are slow are told the end again and again, and get everything once', async () => {
    await using at = await scene()
    const seen: RecordedEvent[] = []
    let ends = 0
    const writing = writeAll(at.store, 300)
    for await (const batch of at.store.subscribe({ signal: never() })) {
      if (batch.kind === 'caughtUp') ends += 1
      else seen.push(...batch.events)
      if (seen.length >= 300 && batch.kind === 'caughtUp') break
      await pause(1)
    }
    await writing
    expect(ends).toBeGreaterThan(0)
    expect(idsOf(seen)).toEqual(idsOf(await collect(at.store.readAll())))
  })

  it('of a server that stays away are told so', async () => {
    await using at = await scene()
    const batches = at.store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    await batches.next()
    await at.fake.kill()
    await expect(batches.next()).rejects.toThrow(StoreUnavailable)
    await at.fake.restart()
    const after = at.store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    expect((await after.next()).value).toMatchObject({ kind: 'caughtUp' })
    await after.return?.()
  })

  it('that may not read the log are told so at once', async () => {
    await using at = await scene()
    at.fake.faults.denied = ['$all']
    const batches = at.store.subscribe({ signal: never() })[Symbol.asyncIterator]()
    await expect(batches.next()).rejects.toThrow(/lacks a permission/)
  })

  it('come over an outage that is told once, with its end', async () => {
    await using at = await scene()
    const seen = follow(at.store.subscribe({ signal: never() }), 1)
    await at.fake.kill()
    await expect(at.store.ping()).rejects.toThrow(StoreUnavailable)
    await expect(at.store.ping()).rejects.toThrow(StoreUnavailable)
    await at.fake.restart()
    await insist(at.store, [job(0)])
    expect(await seen).toHaveLength(1)
    expect(at.lines.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'warn: the store cannot be reached: it is tried again and again',
      'info: the store can be reached again',
    ])
  })
})

describe.concurrent('what others keep on the server', () => {
  it('is not seen: other ledgers, with a prefix or without, and other programs', async () => {
    await using at = await scene()
    await using orders = await another(at, 'prefix=orders')
    const foreign = { id: crypto.randomUUID(), type: 'Placed', contentType: 'application/json' }
    at.fake.log.append('order-1', -1, [{ ...foreign, data: Buffer.from('{"a":1}'), metadata: new Uint8Array(0) }])
    at.fake.log.append('order-2', -1, [{ ...foreign, data: Buffer.from('no json'), metadata: Buffer.from('{') }])
    await appendOk(at.store, { 'job-1': 'none' }, ...events('job-1', 2))
    await appendOk(orders.store, { 'job-1': 'none' }, ...events('job-1', 3))
    for (const [store, count] of [
      [at.store, 2],
      [orders.store, 3],
    ] as const) {
      const log = await collect(store.readAll())
      expect(log.map(({ stream }) => stream)).toEqual(Array(count).fill('job-1'))
      expect(await store.head()).toBe(log.at(-1)?.position)
      expect(idsOf(await follow(store.subscribe({ signal: never() }), count))).toEqual(idsOf(log))
    }
    expect(orders.store.logId).not.toBe(at.store.logId)
  })

  it('and what is left of removed streams goes with a scavenge; positions stay good', async () => {
    await using at = await scene()
    for (const stream of ['job-1', 'job-2', 'job-3'])
      await appendOk(at.store, { [stream]: 'none' }, ...events(stream, 3))
    const before = await collect(at.store.readAll())
    await at.store.remove(['job-2'])
    await at.store.truncate('job-3', 2)
    expect(await collect(at.store.readAll())).toHaveLength(9)
    at.fake.log.scavenge()
    const left = await collect(at.store.readAll())
    expect(left.map(({ stream, revision }) => `${stream}@${revision}`)).toEqual([
      'job-1@0',
      'job-1@1',
      'job-1@2',
      'job-3@2',
    ])
    const after = before[4]?.position ?? ''
    expect(idsOf(await collect(at.store.readAll({ after })))).toEqual(idsOf(left.slice(3)))
    expect(idsOf(await follow(at.store.subscribe({ after, signal: never() }), 1))).toEqual(idsOf(left.slice(3)))
  })

  it('is a transaction that no store of events can join', async () => {
    await using at = await scene()
    expect(() => at.store.within({})).toThrow(/outbox/)
    await expect(at.store.erase([{ stream: 'job-1', revision: 0 }])).rejects.toThrow(StoreRefused)
  })
})

describe.concurrent('reads', () => {
  it('of a silent server fail within ten seconds', async () => {
    await using at = await scene()
    at.fake.wire.hold()
    const begun = performance.now()
    await expect(at.store.ping()).rejects.toThrow(/does not answer/)
    expect(performance.now() - begun).toBeLessThan(10_000)
    at.fake.wire.letGo()
  })

  it('go on by themselves where a connection was cut between two', async () => {
    await using at = await scene()
    await appendOk(at.store, { 'job-1': 'none' }, ...events('job-1', 5))
    for (let round = 0; round < 3; round += 1) {
      at.fake.wire.cut()
      expect(await collect(at.store.readStream('job-1'))).toHaveLength(5)
    }
  })

  it('that are held up take no turn from others', async () => {
    await using at = await scene()
    await at.store.append(jobs(30))
    const held = Array.from({ length: 20 }, (_, n) => at.store.readStream(`job-${n}`)[Symbol.asyncIterator]())
    for (const pages of held) expect((await pages.next()).value).toHaveLength(1)
    expect(await collect(at.store.readStream('job-29'))).toHaveLength(1)
  })

  it('of hundreds at once all end', async () => {
    await using at = await scene()
    await at.store.append(jobs(300))
    const read = await Promise.all(jobs(300).map((_, n) => collect(at.store.readStream(`job-${n}`))))
    expect(read.every((each) => each.length === 1)).toBe(true)
  })
})

it('the fake is a server as a process of its own, too', async () => {
  await using other = await startFakeProcess()
  const store = await openEventStore(other.url)
  await other.say('kill')
  expect(kindsOf(await store.append([job(0)]))).not.toEqual(['ok'])
  await other.say('restart')
  await other.say({ delay: 1 })
  expect(kindsOf(await insist(store, [job(0)]))).toEqual(['ok'])
  await store.close()
})

async function writeAll(store: EventStore, total: number): Promise<void> {
  for (let n = 0; n < total; n += 20)
    await insist(
      store,
      Array.from({ length: 20 }, (_, each) => job(n + each)),
    )
}

/** Another store on the same server. */
async function another({ fake }: Scene, query = ''): Promise<{ readonly store: EventStoreDBStore } & AsyncDisposable> {
  const store = await openEventStore(fake.url(query))
  return { store, [Symbol.asyncDispose]: () => store.close() }
}

const FakeServer = {
  async start(): Promise<{ readonly fake: FakeEventStore } & AsyncDisposable> {
    const fake = await FakeEventStore.start()
    return { fake, [Symbol.asyncDispose]: () => fake.stop() }
  },
}
