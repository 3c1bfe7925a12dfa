/** What a server, or the way to it, does wrong while events are appended: outcomes are right, and nothing hangs. Real time. */
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { StoreRefused, StoreUnavailable } from '../../runtime/ports/event-store.js'
import { body, collect, event, group, kindsOf } from '../conformance/event-store/harness.js'
import { another, expectOnce, FakeServer, insist, job, jobs, scene, until, written } from './eventstore-scene.js'

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
