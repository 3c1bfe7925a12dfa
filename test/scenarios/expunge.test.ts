/** Bodies erased for good: payloads, results and errors go, the facts and the proof of what was there stay. */
import { createHash } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { expect } from 'vitest'
import type { Body, RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { World } from '../engine/support.js'
import { factsOf, rejection } from '../engine/support.js'
import { end, idsIn, running, work } from './ends.js'
import { SQL, scenario } from './scenario.js'

/** Fails once with the secret, shows it on its way, returns it. */
const talkative = defineJob({
  type: 'talkative',
  backoff: { min: '10s', factor: 1, jitter: 'none' },
  handle: async ({ secret }: { secret: string }, ctx) => {
    await ctx.heartbeat(1, { secret })
    if (ctx.attempt === 1) throw new Error(`not with ${secret}`)
    return { secret }
  },
})

async function told(world: World, secret: string, id = 'a'): Promise<Ledger> {
  const ledger = await world.open({ jobs: [talkative] })
  await ledger.start()
  await ledger.enqueue(talkative, { secret }, { id })
  await world.pass(ledger.result(id))
  return ledger
}

async function eventsOf(world: World, id: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  const store = await world.store()
  for await (const page of store.readStream(`job-${id}`, { bodies: true })) events.push(...page)
  return events
}

const sha256 = ({ salt, content }: Body): string => createHash('sha256').update(salt).update(content).digest('hex')

scenario(
  [75],
  'an erased body is gone from the store; what its hash was is recorded, by whom and for which event',
  async (world) => {
    const ledger = await told(world, 'xyzzy')
    const before = await eventsOf(world, 'a')
    const hashes = Object.fromEntries(
      before.flatMap(({ revision, body }) =>
        body !== undefined && 'content' in body ? [[revision, sha256(body)]] : [],
      ),
    )
    // Payload, two partial results, the error, the result.
    expect(Object.keys(hashes)).toHaveLength(5)
    expect(await ledger.as({ user: 'ann', reason: 'art. 17' }).expunge('a')).toBe(true)
    const after = await eventsOf(world, 'a')
    expect(after.at(-1)).toMatchObject({
      type: 'Expunged',
      data: { rule: 'operator', hashes },
      metadata: { actor: 'ann', reason: 'art. 17' },
    })
    expect(JSON.stringify(after)).not.toContain('xyzzy')
    const left = after.flatMap(({ revision, body }) => {
      if (body === undefined) return []
      expect(body).not.toHaveProperty('content')
      return [[revision, Buffer.from((body as { hash: Uint8Array }).hash).toString('hex')]]
    })
    expect(Object.fromEntries(left)).toEqual(hashes)
    // The facts are as they were.
    expect(after.slice(0, -1).map(({ body: _, ...facts }) => facts)).toEqual(
      before.map(({ body: _, ...facts }) => facts),
    )
  },
)

scenario([75], 'status and history say that it was erased, and still tell all that is a fact', async (world) => {
  const ledger = await told(world, 'xyzzy')
  const before = await ledger.status('a')
  await ledger.expunge('a')
  const status = await ledger.status('a')
  const { payload: _payload, result: _result, errorMessage: _message, ...facts } = before
  expect(status).toMatchObject(facts)
  expect(status.payload).toBeUndefined()
  expect(status.result).toBeUndefined()
  expect(status.errorMessage).toBe('')
  expect([before.erased, status.erased]).toEqual([undefined, true])
  const history = await ledger.history('a')
  const erased = history.filter((entry) => entry.erased).map(({ type }) => type)
  expect(erased).toEqual(['Queued', 'Heartbeat', 'Failed', 'Heartbeat', 'Finished'])
  for (const entry of history) expect(entry).not.toHaveProperty('body')
  expect(await ledger.result('a')).toBeUndefined()
  expect(await ledger.attempts('a')).toMatchObject([{ attempt: 1 }, { attempt: 2 }])
  expect(JSON.stringify(await ledger.attempts('a'))).not.toContain('xyzzy')
  expect((await ledger.list()).jobs).toMatchObject([{ id: 'a', state: 'succeeded' }])
})

scenario([75], 'a second time there is nothing left to erase, nor for a rule, nor in another ledger', async (world) => {
  const ledger = await told(world, 'xyzzy')
  const other = await world.open()
  expect(await ledger.expunge('a')).toBe(true)
  expect(await ledger.expunge('a')).toBe(false)
  expect(await other.expunge('a')).toBe(false)
  const rules = [{ action: 'expunge' as const, maxCount: 0 }]
  expect(await other.retention.run({ rules })).toMatchObject({ expunged: 0 })
  expect(await ledger.retention.run({ rules })).toMatchObject({ expunged: 0 })
  expect(await factsOf(ledger, 'a', 'Expunged')).toHaveLength(1)
})

scenario([75], 'two who erase the same at once do it once', async (world) => {
  const ledger = await told(world, 'xyzzy')
  const other = await world.open()
  const done = await Promise.all([ledger.expunge('a'), other.expunge('a'), ledger.expunge('a'), other.expunge('a')])
  expect(done.filter(Boolean)).toHaveLength(1)
  expect(await factsOf(ledger, 'a', 'Expunged')).toHaveLength(1)
})

scenario([75, 28], 'a job that has not ended cannot be erased, one that was erased cannot run again', async (world) => {
  const ledger = await told(world, 'xyzzy')
  await ledger.enqueue(work, 'x', { id: 'waits', held: true })
  expect(await rejection(ledger.expunge('waits'))).toMatchObject({ code: 'JOB_NOT_ENDED' })
  expect(await rejection(ledger.expunge('nobody'))).toMatchObject({ code: 'JOB_UNKNOWN' })
  await ledger.expunge('a')
  expect(await rejection(ledger.retry('a'))).toMatchObject({ code: 'JOB_EXPUNGED', jobId: 'a' })
  expect(await ledger.status('a')).toMatchObject({ state: 'succeeded', run: 2 })
})

scenario([75], 'payloads that were replaced are erased as well', async (world) => {
  const ledger = await running(world)
  const unique = { key: 'k', onDuplicate: 'replace' as const }
  await ledger.enqueue(work, 'first secret', { id: 'a', unique, held: true })
  await ledger.enqueue(work, 'second secret', { unique })
  await ledger.promote('a')
  await ledger.result('a')
  await ledger.expunge('a')
  expect(JSON.stringify(await eventsOf(world, 'a'))).not.toContain('secret')
  expect((await ledger.status('a')).payload).toBeUndefined()
})

scenario(
  [75, 20],
  'who depends on an erased job is told its outcome without a result, and still runs',
  async (world) => {
    const asking = defineJob({ type: 'asking', handle: (_: null, ctx) => ctx.dependencies() })
    const ledger = await world.open({ jobs: [work, asking] })
    await ledger.start()
    await end(ledger, 'base')
    await ledger.expunge('base')
    const job = await ledger.enqueue(asking, null, { dependsOn: ['base'] })
    expect(await job.result()).toEqual([{ id: 'base', outcome: 'succeeded' }])
  },
)

scenario(
  [75, 'C21'],
  'retention can erase instead of removing: the jobs stay in the list, and go by a later rule',
  async (world) => {
    const ledger = await running(world)
    for (const id of ['a', 'b', 'c']) {
      await end(ledger, id)
      await world.clock.advance('1m')
    }
    await ledger.enqueue(work, 'x', { id: 'waits', held: true, dependsOn: ['a'] })
    const rules = [
      { name: 'blank', action: 'expunge' as const, olderThan: '90s' },
      { name: 'gone', olderThan: '150s' },
    ]
    // What a waiting job depends on keeps its result, too: that job may ask for it.
    expect(await ledger.retention.run({ rules })).toEqual({
      ...{ removed: 0, expunged: 1, kept: 2 },
      rules: { blank: { removed: 0, expunged: 1, kept: 1 }, gone: { removed: 0, expunged: 0, kept: 1 } },
    })
    expect((await ledger.status('a')).payload).toBe('succeeded')
    expect(await idsIn(ledger)).toEqual(['a', 'b', 'c', 'waits'])
    expect(await factsOf(ledger, 'b', 'Expunged')).toMatchObject([{ rule: 'blank' }])
    expect((await ledger.status('c')).payload).toBe('succeeded')
    await ledger.cancel('waits')
    expect(await ledger.retention.run({ rules })).toMatchObject({ removed: 1, expunged: 1, kept: 0 })
  },
)

scenario(
  [75, 76],
  'a ledger opened again, and views built again, still know which jobs were erased',
  async (world) => {
    const ledger = await running(world)
    await end(ledger, 'a')
    await end(ledger, 'b')
    await ledger.expunge('a')
    await world.close(ledger)
    const rules = [{ action: 'expunge' as const, maxCount: 0 }]
    const again = await world.open()
    expect(await again.retention.run({ rules, dryRun: true })).toMatchObject({ expunged: 1 })
    await world.close(again)
    for (const suffix of ['', '-wal', '-shm']) await rm(`${world.path}-views${suffix}`, { force: true })
    const rebuilt = await world.open()
    expect(await rebuilt.retention.run({ rules, dryRun: true })).toMatchObject({ expunged: 1 })
    expect(await rebuilt.retention.run({ rules })).toMatchObject({ expunged: 1 })
    expect(await rebuilt.retention.run({ rules })).toMatchObject({ expunged: 0 })
  },
  SQL,
)

scenario(
  [75],
  'not one byte of what was erased or removed is left in any file of the ledger',
  async (world) => {
    const [erased, removed] = ['needle-of-the-erased-one', 'needle-of-the-removed-one']
    const ledger = await told(world, erased, 'a')
    await ledger.enqueue(talkative, { secret: removed }, { id: 'b' })
    await world.pass(ledger.result('b'))
    const files = async (): Promise<string> => {
      const parts = await Promise.all(
        ['', '-wal', '-views', '-views-wal'].map((suffix) => readFile(world.path + suffix, 'latin1').catch(() => '')),
      )
      return parts.join('')
    }
    const before = await files()
    expect([before.includes(erased), before.includes(removed)]).toEqual([true, true])
    await ledger.expunge('a')
    await ledger.remove('b')
    await world.close(ledger)
    const after = await files()
    expect([after.includes(erased), after.includes(removed)]).toEqual([false, false])
  },
  SQL,
)
