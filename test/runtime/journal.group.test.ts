/** What goes with the events of a group: erased bodies, removed streams, the caller's own writes. */
import { describe, expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import type { RemovedJob } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { DependencyEdge } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { AppendGroup, AppendOutcome } from '../../runtime/ports/event-store.js'
import { StoreUnavailable } from '../../runtime/ports/event-store.js'
import { silentLogger } from '../../runtime/ports/logger.js'
import { Feed } from '../../runtime/read/feed.js'
import type { Command } from '../../runtime/write/command.js'
import * as commands from '../../runtime/write/commands.js'
import type { EnqueueAnswer } from '../../runtime/write/enqueue-command.js'
import { enqueue as enqueueAll, NOTHING_FOUND } from '../../runtime/write/enqueue-command.js'
import { Journal } from '../../runtime/write/journal.js'
import { facts } from '../domain/support/jobs.js'
import { CountedIds } from './support/counted-ids.js'
import { FaultyStore } from './support/faulty-store.js'
import { HastyClock } from './support/hasty-clock.js'
import { readAll } from './support/rival.js'

/** A store with transactions of the simplest kind: `effects` are called with a word. */
class EffectiveStore extends MemoryEventStore {
  override async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    const outcomes: AppendOutcome[] = []
    for (const { effects, ...group } of groups) {
      try {
        await effects?.('transaction')
        outcomes.push(...(await super.append([group])))
      } catch (error) {
        outcomes.push({ kind: 'rejected', error: error as Error })
      }
    }
    return outcomes
  }
}

function open() {
  const clock = new HastyClock()
  const inner = new EffectiveStore()
  const store = new FaultyStore(inner, {})
  const feed = new Feed({ store, clock, logger: silentLogger })
  void feed.run(new AbortController().signal)
  const journal = new Journal({ store, memory: feed, clock, ids: new CountedIds('own') })
  const running = async (...ids: readonly string[]): Promise<void> => {
    for (const id of ids) await Promise.all([journal.submit(enqueue(id)), journal.submit(lease(id))])
  }
  const typesOf = async (stream: string): Promise<string[]> => (await readAll(inner, stream)).map(({ type }) => type)
  return { store, inner, feed, journal, running, typesOf }
}

const enqueue = (id: string, ...dependsOn: readonly DependencyEdge[]): Command<EnqueueAnswer> =>
  enqueueAll([{ id, facts: facts(dependsOn.length === 0 ? {} : { dependsOn }), payload: `"payload of ${id}"` }])
const onEnd = (id: string): DependencyEdge => ({ id, on: 'finished', otherwise: 'block' })
const lease = (id: string): Command<void> => commands.lease(id, { token: `t-${id}`, workerId: 'w', leaseMs: 1_000 })
const finish = (id: string, effects?: AppendGroup['effects']): Command<void> =>
  commands.finish(id, `t-${id}`, { result: `"result of ${id}"`, effects })
const retry = (id: string): Command<void> =>
  commands.retry(id, { ...NOTHING_FOUND, dependencies: [], unique: undefined })
const hash = (body: { readonly content: string | Uint8Array }): string => `hash of ${body.content}`

describe('the bodies of a job that is expunged', () => {
  const contents = async (inner: MemoryEventStore, id: string): Promise<string[]> =>
    (await readAll(inner, jobStream(id))).flatMap(({ body }) =>
      body !== undefined && 'content' in body ? [String(body.content)] : [],
    )

  test('are erased in the commit that names their hashes', async () => {
    const { store, inner, journal, running } = open()
    await running('j')
    await journal.submit(commands.heartbeat('j', { token: 't-j', progress: 1, partial: '"part"' }, 1_000))
    await journal.submit(finish('j'))
    expect(await journal.submit(commands.expunge('j', 'r', hash))).toBe(true)
    const [stream, last] = [jobStream('j'), store.groups.at(-1)]
    expect(last?.erase).toEqual([0, 2, 3].map((revision) => ({ stream, revision })))
    const hashes = { 0: 'hash of "payload of j"', 2: 'hash of "part"', 3: 'hash of "result of j"' }
    expect(last?.events.map(({ type, data }) => ({ type, data }))).toMatchObject([
      { type: 'Expunged', data: { rule: 'r', hashes } },
    ])
    expect(await contents(inner, 'j')).toEqual([])
    expect(await journal.submit(commands.expunge('j', 'r', hash))).toBe(false)
  })

  test('are erased, every one, also where the end is of the very same flush', async () => {
    const { inner, journal, running } = open()
    await running('j')
    const [, expunged] = await Promise.all([
      journal.submit(finish('j')),
      journal.submit(commands.expunge('j', 'r', hash)),
    ])
    expect(expunged).toBe(true)
    expect(await contents(inner, 'j')).toEqual([])
    const hashes = { 0: 'hash of "payload of j"', 2: 'hash of "result of j"' }
    expect((await readAll(inner, jobStream('j'))).at(-1)?.data).toEqual({
      rule: 'r',
      queuedAt: expect.any(Number),
      hashes,
    })
  })
})

describe('jobs that are removed', () => {
  const gone = (id: string): RemovedJob => ({ id, outcome: 'succeeded', queue: 'default', queuedAt: 0, position: '' })
  const condemn = (id: string): Command<void> => commands.condemn(id, 'r')

  test('leave the log in the commit that says so', async () => {
    const { store, journal, running, typesOf } = open()
    await running('a', 'b')
    for (const id of ['a', 'b']) await Promise.all([journal.submit(finish(id)), journal.submit(condemn(id))])
    await journal.submit(commands.remove([gone('a'), gone('b')], { rule: 'r' }))
    expect(store.groups.at(-1)?.remove).toEqual(['a', 'b'].map(jobStream))
    expect(await typesOf(AUDIT_STREAM)).toEqual(['JobsRemoved'])
    expect(await typesOf(jobStream('a'))).toEqual([])
    await expect(journal.submit(enqueue('a'))).rejects.toMatchObject({ code: 'STREAM_REMOVED' })
    await expect(journal.submit(condemn('a'))).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
  })

  test('are told apart by where they were first queued and how they ended, whatever the caller believes', async () => {
    const { inner, journal, running } = open()
    await running('j')
    await journal.submit(commands.cancel('j', { by: 'operator' }, false))
    await journal.submit(retry('j'))
    await Promise.all([journal.submit(lease('j')), journal.submit(finish('j')), journal.submit(condemn('j'))])
    const [first] = await readAll(inner, jobStream('j'))
    await journal.submit(commands.remove([{ ...gone('j'), outcome: 'cancelled', position: '9' }], { rule: 'r' }))
    const [event] = await readAll(inner, AUDIT_STREAM)
    expect(event?.data).toMatchObject({ jobs: [{ id: 'j', outcome: 'succeeded', position: first?.position }] })
  })

  test('stay, all of them, when one is not condemned any more', async () => {
    const { journal, running, typesOf } = open()
    await running('a', 'b')
    for (const id of ['a', 'b']) await Promise.all([journal.submit(finish(id)), journal.submit(condemn(id))])
    await journal.submit(retry('b'))
    await expect(journal.submit(commands.remove([gone('a'), gone('b')], { rule: 'r' }))).rejects.toThrow(
      'Job b has not ended',
    )
    expect(await typesOf(jobStream('a'))).toContain('Condemned')
    expect(await typesOf(AUDIT_STREAM)).toEqual([])
  })

  test('are not sent round again by whoever comes too late in the same flush', async () => {
    const { feed, journal, running, typesOf } = open()
    await running('a')
    await Promise.all([journal.submit(finish('a')), journal.submit(condemn('a'))])
    const removing = journal.submit(commands.remove([gone('a')], { rule: 'r' }))
    await expect(journal.submit(retry('a'))).rejects.toMatchObject({ family: 'job' })
    await removing
    expect(await typesOf(jobStream('a'))).toEqual([])
    expect(feed.board.size).toBe(0)
    expect(feed.skipped).toBe(0)
  })
})

describe('effects', () => {
  test('are run in the transaction that records the end, once', async () => {
    const { journal, running, typesOf } = open()
    await running('j')
    const seen: unknown[] = []
    await journal.submit(finish('j', (transaction) => seen.push(transaction)))
    expect(seen).toEqual(['transaction'])
    expect(await typesOf(jobStream('j'))).toEqual(['Queued', 'Leased', 'Finished'])
  })

  test('that throw leave nothing behind, and who asked is told', async () => {
    const { journal, running, typesOf } = open()
    await running('j')
    const fails = (): never => {
      throw new Error('no such table')
    }
    await expect(journal.submit(finish('j', fails))).rejects.toThrow('no such table')
    expect(await typesOf(jobStream('j'))).toEqual(['Queued', 'Leased'])
  })

  test('are not run for a lease that is lost', async () => {
    const { journal, running } = open()
    await running('j')
    await journal.submit(commands.release('j', 't-j'))
    let runs = 0
    const count = (): number => ++runs
    await expect(journal.submit(finish('j', count))).rejects.toMatchObject({ code: 'LEASE_LOST' })
    expect(runs).toBe(0)
  })

  test('are run for each of several ends that a job waiting for all of them ties together', async () => {
    const { journal, running } = open()
    await running('a', 'b')
    const seen: string[] = []
    await Promise.all([
      journal.submit(finish('a', () => seen.push('a'))),
      journal.submit(enqueue('c', onEnd('a'), onEnd('b'))),
      journal.submit(finish('b', () => seen.push('b'))),
    ])
    expect(seen.sort()).toEqual(['a', 'b'])
  })

  test('do not change the order in which all is done that was asked for', async () => {
    const { feed, journal, running, typesOf } = open()
    await running('j')
    const beat = commands.heartbeat('j', { token: 't-j', progress: 1 }, 1_000)
    const asked = [beat, finish('j', () => {}), beat, retry('j'), lease('j')]
    const told = await Promise.allSettled(asked.map((command) => journal.submit(command as Command<void>)))
    expect(told.map(({ status }) => status === 'fulfilled')).toEqual([true, true, false, true, true])
    const types = ['Queued', 'Leased', 'Heartbeat', 'Finished', 'Retried', 'Leased']
    expect(await typesOf(jobStream('j'))).toEqual(types)
    expect(feed.board.get('j')?.phase).toBe('leased')
  })

  test('that throw are the failure of their own end only, whoever else is in the same flush', async () => {
    const { journal, running, typesOf } = open()
    await running('a', 'b')
    const fails = (): never => {
      throw new StoreUnavailable('no such table')
    }
    const seen: string[] = []
    const [a, c, b] = await Promise.allSettled([
      journal.submit(finish('a', fails)),
      journal.submit(enqueue('c', onEnd('a'), onEnd('b'))),
      journal.submit(finish('b', () => seen.push('b'))),
    ])
    expect([a.status, c.status, b.status]).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    expect(seen).toEqual(['b'])
    expect(await typesOf(jobStream('a'))).toEqual(['Queued', 'Leased'])
    expect(await typesOf(jobStream('c'))).toEqual(['Queued'])
  })
})
