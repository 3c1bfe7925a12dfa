/** Flushes beside each other, where the store says that it can make use of it. */
import { describe, expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { jobStream } from '../../domain/job/events.js'
import { JobNotPending } from '../../domain/rejection.js'
import type { AppendGroup, AppendOutcome, EventStore, Overlap } from '../../runtime/ports/event-store.js'
import { silentLogger } from '../../runtime/ports/logger.js'
import { Feed } from '../../runtime/read/feed.js'
import type { Command } from '../../runtime/write/command.js'
import * as commands from '../../runtime/write/commands.js'
import type { EnqueueAnswer } from '../../runtime/write/enqueue-command.js'
import { enqueue as enqueueAll } from '../../runtime/write/enqueue-command.js'
import { Journal } from '../../runtime/write/journal.js'
import { facts } from '../domain/support/jobs.js'
import { CountedIds } from './support/counted-ids.js'
import { HastyClock, turns } from './support/hasty-clock.js'
import { readAll } from './support/rival.js'

/** An append that waits for its fate. */
interface Held {
  readonly groups: readonly AppendGroup[]
  /** Lets it through, or answers in the store's place. */
  go(instead?: AppendOutcome): Promise<void>
}

/** Appends come in when the test lets them, in whatever order. */
class HeldStore extends MemoryEventStore {
  override readonly capabilities: EventStore['capabilities']
  readonly held: Held[] = []

  constructor(overlap: Overlap | undefined, atomicGroups: boolean) {
    super()
    this.capabilities = {
      ...{ atomicGroups, transactions: false, erase: true, durable: false },
      ...(overlap && { overlap }),
    }
  }

  override append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    return new Promise((resolve) => {
      const go = async (instead?: AppendOutcome): Promise<void> => {
        this.held.splice(this.held.indexOf(one), 1)
        resolve(instead === undefined ? await super.append(groups) : groups.map(() => instead))
        await turns(3)
      }
      const one = { groups, go }
      this.held.push(one)
    })
  }

  get streams(): string[][] {
    return this.held.map(({ groups }) => groups.flatMap(({ expect }) => [...expect.keys()]))
  }
}

interface Setup {
  readonly store: HeldStore
  readonly journal: Journal
}

function open(overlap?: Overlap, atomicGroups = true): Setup {
  const store = new HeldStore(overlap, atomicGroups)
  const clock = new HastyClock()
  const feed = new Feed({ store, clock, logger: silentLogger })
  // Ends with its store, at the end of the test.
  void feed.run(new AbortController().signal)
  return { store, journal: new Journal({ store, memory: feed, clock, ids: new CountedIds('own') }) }
}

const enqueue = (id: string): Command<EnqueueAnswer> => enqueueAll([{ id, facts: facts(), payload: '1' }])
const lease = (id: string, token: string): Command<void> => commands.lease(id, { token, workerId: 'w', leaseMs: 1_000 })
const oneOf = (store: HeldStore, index = 0): Held => store.held[index] as Held
const names = (from: number, count: number): string[] => Array.from({ length: count }, (_, index) => `j${from + index}`)

/** Enqueues all of them in one tick, and lets the journal set out. */
async function ask(journal: Journal, ids: readonly string[]): Promise<{ readonly answers: Promise<EnqueueAnswer>[] }> {
  const answers = ids.map((id) => journal.submit(enqueue(id)))
  await turns(3)
  return { answers }
}

describe('flushes', () => {
  test('of a store that appends to one stream at a time do not wait for a group of several', async () => {
    const { store, journal } = open(undefined, false)
    const batch = journal.submit(enqueueAll(['a', 'b'].map((id) => ({ id, facts: facts(), payload: '1' }))))
    const { answers } = await ask(journal, ['c'])
    expect(store.streams).toEqual([['a', 'b'].map(jobStream), [jobStream('c')]])
    await oneOf(store, 1).go()
    expect(await answers[0]).toEqual([{ id: 'c', outcome: 'created' }])
    const again = journal.submit(lease('c', 'token'))
    const waits = journal.submit(lease('a', 'token'))
    await turns(3)
    expect(store.streams[1]).toEqual([jobStream('c')])
    await oneOf(store, 1).go()
    await again
    expect(store.streams).toEqual([['a', 'b'].map(jobStream)])
    const ends = [expect(batch).rejects.toThrow('away'), expect(waits).rejects.toThrow('no job a'), journal.idle()]
    await oneOf(store).go({ kind: 'rejected', error: new Error('away') })
    await Promise.all(ends)
  })

  test('wait for each other where the store says nothing', async () => {
    const { store, journal } = open()
    await ask(journal, names(0, 1))
    await ask(journal, names(1, 50))
    expect(store.held.length).toBe(1)
    await oneOf(store).go()
    expect(store.streams[0]).toEqual(names(1, 50).map(jobStream))
  })

  test('go beside each other, as many as the store wants, each with all that has come by then', async () => {
    const { store, journal } = open({ calls: 3, from: 1 })
    for (const from of [0, 10, 20, 30, 40]) await ask(journal, names(from, 5))
    expect(store.streams.map(({ length }) => length)).toEqual([5, 5, 5])
    await oneOf(store, 1).go()
    expect(store.streams.map(({ length }) => length)).toEqual([5, 5, 10])
  })

  test('with too little for a call of their own go with the next', async () => {
    const { store, journal } = open({ calls: 2, from: 4 })
    await ask(journal, names(0, 1))
    await ask(journal, names(1, 3))
    expect(store.held.length).toBe(1)
    await ask(journal, names(4, 1))
    expect(store.streams[1]).toEqual(names(1, 4).map(jobStream))
    await ask(journal, names(5, 2))
    await oneOf(store, 1).go()
    expect(store.held.length).toBe(1)
    await oneOf(store).go()
    expect(store.streams).toEqual([names(5, 2).map(jobStream)])
  })

  test('that are answered the other way round answer their own', async () => {
    const { store, journal } = open({ calls: 2, from: 1 })
    const {
      answers: [first],
    } = await ask(journal, ['a'])
    const {
      answers: [second],
    } = await ask(journal, ['b'])
    const order: string[] = []
    void first?.then(() => order.push('a'))
    void second?.then(() => order.push('b'))
    await oneOf(store, 1).go()
    expect(order).toEqual(['b'])
    await oneOf(store).go()
    expect(order).toEqual(['b', 'a'])
  })
})

describe('a stream', () => {
  test('is in flight once: who comes later waits, and so does everybody who shares a stream with it', async () => {
    const { store, journal } = open({ calls: 4, from: 1 })
    await ask(journal, ['a'])
    const waiting = [journal.submit(lease('a', 't')), journal.submit(commands.finish('a', 't', { result: '1' }))]
    await turns(3)
    expect(store.held.length).toBe(1)
    await ask(journal, ['b'])
    expect(store.streams).toEqual([[jobStream('a')], [jobStream('b')]])
    await oneOf(store).go()
    expect(store.streams).toEqual([[jobStream('b')], [jobStream('a')]])
    await oneOf(store, 1).go()
    await Promise.all(waiting)
    expect((await readAll(store, jobStream('a'))).map(({ type }) => type)).toEqual(['Queued', 'Leased', 'Finished'])
  })

  test('stays in flight while nobody knows what became of it, and the others go on', async () => {
    const { store, journal } = open({ calls: 2, from: 1 })
    const {
      answers: [first],
    } = await ask(journal, ['a'])
    const {
      answers: [second],
    } = await ask(journal, ['b'])
    const sent = oneOf(store).groups
    await oneOf(store).go({ kind: 'unknown', error: new Error('no answer') })
    const {
      answers: [again],
    } = await ask(journal, ['a'])
    // It is sent again, unchanged; the newcomer waits for it.
    expect(store.held[1]?.groups).toEqual(sent)
    await oneOf(store).go()
    await second
    expect(store.held.length).toBe(1)
    await oneOf(store).go()
    expect(await first).toEqual([{ id: 'a', outcome: 'created' }])
    expect(await again).toEqual([{ id: 'a', outcome: 'duplicate' }])
  })

  test('that a rival was faster on is decided again beside what is under way', async () => {
    const { store, journal } = open({ calls: 2, from: 1 })
    const {
      answers: [first],
    } = await ask(journal, ['a'])
    await oneOf(store).go()
    await first
    const mine = journal.submit(lease('a', 'mine'))
    await turns(3)
    await ask(journal, ['b'])
    const theirs = { stream: jobStream('a'), id: 'theirs', type: 'Leased', at: 1, metadata: undefined, body: undefined }
    const data = { token: 'theirs', workerId: 'v', run: 1, attempt: 1, expiresAt: 9, codeVersion: undefined }
    const rival = { expect: new Map([[jobStream('a'), 0]]), events: [{ ...theirs, data }] }
    await MemoryEventStore.prototype.append.call(store, [rival])
    const told = expect(mine).rejects.toThrow(JobNotPending)
    await oneOf(store).go()
    await told
    expect(store.streams).toEqual([[jobStream('b')]])
  })
})

describe('a journal with flushes beside each other', () => {
  test('is idle once the last of them has come in', async () => {
    const { store, journal } = open({ calls: 2, from: 1 })
    await ask(journal, ['a'])
    await ask(journal, ['b'])
    let idle = false
    void journal.idle().then(() => {
      idle = true
    })
    await oneOf(store, 1).go()
    expect(idle).toBe(false)
    await oneOf(store).go()
    expect(idle).toBe(true)
  })

  test('that is abandoned refuses what is in all of them, and nothing sets out any more', async () => {
    const { store, journal } = open({ calls: 2, from: 1 })
    const asked = [await ask(journal, ['a']), await ask(journal, ['b']), await ask(journal, ['c'])]
    let fed = 0
    journal.beforeFlush(() => {
      fed += 1
    })
    const error = new Error('enough')
    journal.abandon(error)
    await Promise.all(asked.flatMap(({ answers }) => answers.map((answer) => expect(answer).rejects.toBe(error))))
    await journal.idle()
    await expect(journal.submit(enqueue('d'))).rejects.toBe(error)
    await oneOf(store).go()
    await oneOf(store).go()
    journal.wake()
    await turns(3)
    expect(store.held.length).toBe(0)
    expect(fed).toBe(0)
  })

  test('asks those who have said that they have enough to give before the first has come in', async () => {
    const { store, journal } = open({ calls: 2, from: 3 })
    let given = 0
    journal.beforeFlush(() => {
      for (const id of names(given, 3)) void journal.submit(enqueue(id))
      given += 3
      if (given < 9) journal.wake(9 - given)
    })
    await turns(5)
    expect(store.streams).toEqual([names(0, 3).map(jobStream), names(3, 3).map(jobStream)])
  })

  test('splits what comes again and again only where every part is worth a call', () => {
    expect(open().journal.portionOf(100)).toBe(100)
    const { journal } = open({ calls: 2, from: 32 })
    expect([63, 64, 99].map((count) => journal.portionOf(count))).toEqual([63, 32, 50])
  })
})
