/** What a server, or the way to it, does wrong while its log is read: nothing hangs, and nobody skips or repeats. Real time. */
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openEventStore } from '../../adapters/eventstore/event-store.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import { StoreRefused, StoreUnavailable } from '../../runtime/ports/event-store.js'
import { appendOk, collect, events, follow, idsOf, kindsOf } from '../conformance/event-store/harness.js'
import { startFakeProcess } from '../support/eventstore/process.js'
import { another, insist, job, jobs, never, scene, until, written } from './eventstore-scene.js'

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
