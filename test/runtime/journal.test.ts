/** What the journal does in single cases, where a property would only meet them by chance. */
import { describe, expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import type { DependencyEdge } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import { JobExists, JobNotPending, JobUnknown } from '../../domain/rejection.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import { silentLogger } from '../../runtime/ports/logger.js'
import { Feed } from '../../runtime/read/feed.js'
import type { Command } from '../../runtime/write/command.js'
import * as commands from '../../runtime/write/commands.js'
import type { EnqueueAnswer, Enqueued, NewJob } from '../../runtime/write/enqueue-command.js'
import { enqueue as enqueueAll, NOTHING_FOUND } from '../../runtime/write/enqueue-command.js'
import { Journal } from '../../runtime/write/journal.js'
import { facts } from '../domain/support/jobs.js'
import { CountedIds } from './support/counted-ids.js'
import type { Forecast, Weather } from './support/faulty-store.js'
import { FaultyStore } from './support/faulty-store.js'
import { HastyClock, turns, within } from './support/hasty-clock.js'
import { readAll, rivalOn } from './support/rival.js'

interface Setup {
  readonly store: FaultyStore
  readonly inner: MemoryEventStore
  readonly feed: Feed
  readonly journal: Journal
}

let opened = 0

/** A journal on a memory store, with its feed running. */
function open(forecast: Partial<Forecast> = {}, inner: MemoryEventStore = new MemoryEventStore()): Setup {
  const clock = new HastyClock()
  opened += 1
  const store = new FaultyStore(inner, forecast, rivalOn(inner, clock, `rival${opened}`))
  const feed = new Feed({ store, clock, logger: silentLogger })
  // Ends with its store, at the end of the test.
  void feed.run(new AbortController().signal)
  return {
    store,
    inner,
    feed,
    journal: new Journal({ store, memory: feed, clock, ids: new CountedIds(`own${opened}`) }),
  }
}

const weather = (given: Partial<Weather>): Weather => ({ fault: 'none', turns: 0, rivalry: 0, throws: false, ...given })
const spec = (id: string, ...dependsOn: readonly DependencyEdge[]): NewJob => ({
  id,
  facts: facts(dependsOn.length === 0 ? {} : { dependsOn }),
  payload: '1',
})
const enqueue = (id: string, ...dependsOn: readonly DependencyEdge[]): Command<EnqueueAnswer> =>
  enqueueAll([spec(id, ...dependsOn)])
const lease = (id: string, token: string): Command<void> => commands.lease(id, { token, workerId: 'w', leaseMs: 1_000 })
const typesOf = async (store: EventStore, id: string): Promise<string[]> =>
  (await readAll(store, jobStream(id))).map(({ type }) => type)

describe('one flush', () => {
  test('is one append, however many commands of one tick go into it', async () => {
    const { store, journal } = open()
    await Promise.all(Array.from({ length: 500 }, (_, index) => journal.submit(enqueue(`j${index}`))))
    expect(store.calls).toBe(1)
    expect(store.groups.length).toBe(500)
  })

  test('takes no more than 1,000 commands, so that the host gets its turn', async () => {
    const { store, journal } = open()
    await Promise.all(Array.from({ length: 2_500 }, (_, index) => journal.submit(enqueue(`j${index}`))))
    expect(store.calls).toBe(3)
  })

  test('queues, leases and finishes a job in one group, each on what the one before it left', async () => {
    const { store, inner, journal } = open()
    await Promise.all([
      journal.submit(enqueue('j')),
      journal.submit(lease('j', 't')),
      journal.submit(commands.finish('j', 't', { result: '1' })),
    ])
    expect(await typesOf(inner, 'j')).toEqual(['Queued', 'Leased', 'Finished'])
    expect(store.groups.length).toBe(1)
  })

  test('gives a job to one of two who ask in the same tick, and the other is told why not', async () => {
    const { journal } = open()
    await journal.submit(enqueue('j'))
    const [first, second] = await Promise.allSettled([
      journal.submit(lease('j', 't1')),
      journal.submit(lease('j', 't2')),
    ])
    expect(first.status).toBe('fulfilled')
    expect(second).toMatchObject({ status: 'rejected', reason: expect.any(JobNotPending) })
  })

  test('holds nobody up whose streams are not the ones in flight', async () => {
    const { journal } = open({
      appends: [weather({ fault: 'lost request' }), weather({}), weather({ fault: 'lost request' })],
    })
    const answered: string[] = []
    const slow = journal.submit(enqueue('slow')).then(() => answered.push('slow'))
    await journal.submit(enqueue('quick'))
    answered.push('quick')
    await slow
    expect(answered).toEqual(['quick', 'slow'])
  })
})

describe('the same id again', () => {
  test('with the same content is a duplicate, at any distance', async () => {
    const { journal } = open()
    expect(await journal.submit(enqueue('j'))).toEqual([{ id: 'j', outcome: 'created' }])
    expect(await journal.submit(enqueue('j'))).toEqual([{ id: 'j', outcome: 'duplicate' }])
  })

  test('with the same content is a duplicate in the very same tick', async () => {
    const { inner, journal } = open()
    const answers = await Promise.all([1, 2, 3].map(() => journal.submit(enqueue('j'))))
    const outcomes = answers.flat().map((answer) => (answer as Enqueued).outcome)
    expect(outcomes).toEqual(['created', 'duplicate', 'duplicate'])
    expect(await typesOf(inner, 'j')).toEqual(['Queued'])
  })

  test('with other content is refused, at any distance', async () => {
    const { journal } = open()
    const other = enqueueAll([{ ...spec('j'), payload: '2' }])
    const [, second] = await Promise.allSettled([journal.submit(enqueue('j')), journal.submit(other)])
    expect(second).toMatchObject({ status: 'rejected', reason: expect.any(JobExists) })
    await expect(journal.submit(other)).rejects.toThrow('Job j exists already with another payload.')
  })
})

describe('a batch', () => {
  const onCancel = (id: string): DependencyEdge => ({ id, on: 'succeeded', otherwise: 'cancel' })

  test('is stored whole or not at all', async () => {
    const { inner, journal } = open()
    const batch = enqueueAll([spec('a'), spec('b', { id: 'nobody', on: 'succeeded', otherwise: 'block' })])
    await expect(journal.submit(batch)).rejects.toThrow('which does not exist')
    expect(await inner.head()).toBe('')
  })

  test('leaves no job waiting for one that the same batch has to cancel', async () => {
    const { feed, journal } = open()
    await journal.submit(enqueue('gone'))
    await journal.submit(commands.cancel('gone', { by: 'operator' }, false))
    await journal.submit(
      enqueueAll([
        spec('a', onCancel('gone')),
        spec('b', onCancel('a')),
        spec('c', { id: 'b', on: 'finished', otherwise: 'run' }),
      ]),
    )
    expect([...feed.board.jobs].map(({ id }) => id)).toEqual(['c'])
    expect(feed.board.graph.isBlocked('c')).toBe(false)
  })

  test('leaves none waiting either where the dependent comes first', async () => {
    const { feed, journal } = open()
    await journal.submit(enqueue('gone'))
    await journal.submit(commands.cancel('gone', { by: 'operator' }, false))
    await journal.submit(enqueueAll([spec('b', onCancel('a')), spec('a', onCancel('gone'))]))
    expect([...feed.board.jobs].map(({ id }) => id)).toEqual(['b'])
    expect([...feed.board.doomed.keys()]).toEqual(['b'])
  })
})

describe('memory that is behind', () => {
  test('never makes a refusal: what it says no to is looked up', async () => {
    const inner = new MemoryEventStore()
    const far = open({}, inner)
    // The near one hears of nothing for a long time after what it has done itself.
    const near = open({ lags: [0, 0, ...Array.from({ length: 50 }, () => 200)] }, inner)
    await near.journal.submit(enqueue('j'))
    await far.journal.submit(lease('j', 't'))
    await far.journal.submit(commands.finish('j', 't', { result: '1' }))
    expect(near.feed.board.get('j')?.phase).toBe('waiting')
    await expect(near.journal.submit(lease('j', 't2'))).rejects.toThrow('it is succeeded')
    await expect(near.journal.submit(commands.finish('j', 't', { result: '2' }))).rejects.toThrow('is lost')
    expect(near.feed.board.get('j')?.phase).toBe('waiting')
    await expect(
      near.journal.submit(commands.retry('j', { ...NOTHING_FOUND, dependencies: [], unique: undefined })),
    ).resolves.toBeUndefined()
    expect(await typesOf(inner, 'j')).toEqual(['Queued', 'Leased', 'Finished', 'Retried'])
  })

  test('is not made up of several moments: a refusal over two streams was true of both at once', async () => {
    const inner = new MemoryEventStore()
    const [first, second] = ['note-1', 'note-2'] as const
    const { journal } = open({ reads: [0, 20] }, inner)
    const asked = journal.submit<string>({
      streams: [first, second],
      decide(seen) {
        const [one, two] = [first, second].map((stream) => seen(stream).state !== undefined)
        // The first was always written before the second.
        return !one && two ? new JobUnknown('torn') : { drafts: [], answer: 'whole' }
      },
    })
    // The first has been read by now, the second is being read.
    await turns(5)
    for (const [index, stream] of [first, second].entries()) {
      await inner.append([
        { expect: new Map([[stream, 'none']]), events: [{ stream, id: `n${index}`, type: 'Noted', at: 0, data: {} }] },
      ])
    }
    await expect(asked).resolves.toBe('whole')
  })

  test('does not refuse a job that another process has just queued', async () => {
    const inner = new MemoryEventStore()
    const far = open({}, inner)
    const near = open({ lags: Array.from({ length: 50 }, () => 200) }, inner)
    await far.journal.submit(enqueue('dependency'))
    await expect(
      near.journal.submit(enqueue('j', { id: 'dependency', on: 'succeeded', otherwise: 'block' })),
    ).resolves.toEqual([{ id: 'j', outcome: 'created' }])
  })
})

describe('what the store says', () => {
  test('conflict: the command is decided again on what the log says', async () => {
    const { inner, journal } = open({ appends: [weather({}), weather({ fault: 'rival', rivalry: 1 })] })
    await journal.submit(enqueue('j'))
    await expect(journal.submit(lease('j', 't'))).rejects.toThrow('it is running')
    expect(await typesOf(inner, 'j')).toEqual(['Queued', 'Leased'])
  })

  test.each(['lost answer', 'lost request', 'late'] as const)(
    'unknown (%s): the same is sent again until there is an answer',
    async (fault) => {
      const { store, inner, journal } = open({ appends: [1, 2, 3].map((turn) => weather({ fault, turns: turn })) })
      await journal.submit(enqueue('j'))
      await store.landed()
      expect(store.calls).toBe(4)
      expect(store.faults).toEqual([])
      expect(new Set(store.groups).size).toBe(1)
      expect(await typesOf(inner, 'j')).toEqual(['Queued'])
    },
  )

  test('rejected: who asked is told, and nothing is stored', async () => {
    const { inner, journal } = open({ appends: [weather({ fault: 'rejected' })] })
    await expect(journal.submit(enqueue('j'))).rejects.toThrow('disk full')
    expect(await inner.head()).toBe('')
    await expect(journal.submit(enqueue('j'))).resolves.toEqual([{ id: 'j', outcome: 'created' }])
  })

  test('removed: the name is burnt, and nobody tries for ever', async () => {
    const { inner, journal } = open()
    await journal.submit(enqueue('j'))
    await inner.remove([jobStream('j')])
    await expect(journal.submit(enqueue('j'))).rejects.toThrow('Job j was removed; its id cannot be used again')
    await expect(journal.submit(lease('j', 't'))).rejects.toThrow('There is no job j')
  })

  test('a group it cannot take is refused alone: its neighbours of the same flush are stored', async () => {
    const { inner, journal } = open()
    const [good, bad, fine] = await within(
      1_000,
      'the commands',
      Promise.allSettled([
        journal.submit(enqueue('good')),
        journal.submit(enqueue('\ud800')),
        journal.submit(enqueue('fine')),
      ]),
    )
    expect(bad).toMatchObject({ status: 'rejected', reason: expect.any(TypeError) })
    expect([good, fine]).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }])
    expect(await typesOf(inner, 'good')).toEqual(['Queued'])
  })
})

describe('an answer', () => {
  test('comes once the projections of this process have what was decided', async () => {
    const { feed, journal } = open({ lags: Array.from({ length: 10 }, () => 20) })
    await journal.submit(enqueue('j'))
    expect(feed.board.get('j')?.phase).toBe('waiting')
  })
})

describe('an idle journal', () => {
  test('is told at once where nothing is under way', async () => {
    await expect(within(1, 'idle', open().journal.idle())).resolves.toBeUndefined()
  })

  test('is told only when the last answer is', async () => {
    const { journal } = open({
      appends: [weather({ fault: 'lost request' }), weather({ fault: 'lost answer', turns: 3 })],
    })
    let answered = false
    void journal.submit(enqueue('j')).then(() => {
      answered = true
    })
    await within(1_000, 'idle', journal.idle())
    await turns(1)
    expect(answered).toBe(true)
  })
})
