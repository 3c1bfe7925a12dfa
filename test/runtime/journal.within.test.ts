/** Decisions inside a transaction of the caller's: as synchronous as that is, and never told before it is asked. */
import { describe, expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import type { NewEvent, RecordedEvent } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import { JobExists } from '../../domain/rejection.js'
import { TransactionConflict } from '../../runtime/errors.js'
import type {
  AppendGroup,
  AppendOutcome,
  ReadStreamOptions,
  TransactionalAppend,
} from '../../runtime/ports/event-store.js'
import { StoreUnavailable } from '../../runtime/ports/event-store.js'
import { silentLogger } from '../../runtime/ports/logger.js'
import { Feed } from '../../runtime/read/feed.js'
import type { Command } from '../../runtime/write/command.js'
import * as commands from '../../runtime/write/commands.js'
import { drive } from '../../runtime/write/drive.js'
import type { EnqueueAnswer } from '../../runtime/write/enqueue-command.js'
import { enqueue as enqueueAll } from '../../runtime/write/enqueue-command.js'
import { Journal } from '../../runtime/write/journal.js'
import { facts } from '../domain/support/jobs.js'
import { CountedIds } from './support/counted-ids.js'
import { HastyClock } from './support/hasty-clock.js'

/** A transaction on nothing but a few streams; `answers` are given instead of an append, once each. */
class FakeTransaction implements TransactionalAppend {
  readonly streams = new Map<string, RecordedEvent[]>()
  readonly reads: string[] = []
  readonly appends: AppendGroup[] = []
  readonly #answers: (AppendOutcome | Error)[]

  constructor(...answers: readonly (AppendOutcome | Error)[]) {
    this.#answers = [...answers]
  }

  readStream(stream: string, options?: ReadStreamOptions): RecordedEvent[] | Promise<RecordedEvent[]> {
    this.reads.push(`${stream}${options?.bodies ? '' : ' without bodies'}`)
    return [...(this.streams.get(stream) ?? [])]
  }

  append(groups: readonly AppendGroup[]): AppendOutcome[] | Promise<AppendOutcome[]> {
    this.appends.push(...groups)
    const answer = this.#answers.shift()
    if (answer instanceof Error) throw answer
    return groups.map((group) => answer ?? this.#store(group))
  }

  #store({ expect: expected, events }: AppendGroup): AppendOutcome {
    for (const [stream, revision] of expected) {
      const actual = this.streams.get(stream)?.at(-1)?.revision ?? 'none'
      if (actual !== revision) return { kind: 'conflict', stream, actual }
    }
    for (const event of events) this.add(event)
    return { kind: 'ok', position: '1' }
  }

  add(event: NewEvent): void {
    const stream = this.streams.get(event.stream) ?? []
    this.streams.set(event.stream, [...stream, { ...event, revision: stream.length, position: '1' }])
  }
}

/** The same with promises. */
class LateTransaction extends FakeTransaction {
  override async readStream(stream: string, options?: ReadStreamOptions): Promise<RecordedEvent[]> {
    return super.readStream(stream, options)
  }

  override async append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    return super.append(groups)
  }
}

function open() {
  const clock = new HastyClock()
  const store = new MemoryEventStore()
  const feed = new Feed({ store, clock, logger: silentLogger })
  void feed.run(new AbortController().signal)
  return { clock, store, journal: new Journal({ store, memory: feed, clock, ids: new CountedIds('own') }) }
}

const enqueue = (id: string, payload = '1', dependsOn?: string): Command<EnqueueAnswer> => {
  const edges =
    dependsOn === undefined ? {} : { dependsOn: [{ id: dependsOn, on: 'finished', otherwise: 'run' }] as const }
  return enqueueAll([{ id, facts: facts(edges), payload }])
}
const cancel = (id: string): Command<boolean> => commands.cancel(id, { by: 'operator' }, true)
const conflict = (actual: 'none' | 'removed' | number): AppendOutcome => ({
  ...{ kind: 'conflict', stream: jobStream('j'), actual },
})

describe.each([
  ['a synchronous transaction', FakeTransaction, false],
  ['an asynchronous transaction', LateTransaction, true],
] as const)('in %s', (_, Transaction, isLate) => {
  /** Decides; checks on the way that there is a promise just where there must be one. */
  async function within<A>(
    transaction: FakeTransaction,
    command: Command<A>,
    { journal } = open(),
    metadata?: Record<string, string>,
  ): Promise<A> {
    const answer = journal.within(transaction, command, metadata)
    expect(answer instanceof Promise).toBe(isLate)
    return answer
  }

  test('a decision is stamped, appended and answered, and nothing of it is ours', async () => {
    const setup = open()
    const transaction = new Transaction()
    const answer = await within(transaction, enqueue('j', '"p"'), setup, { actor: 'me' })
    expect(answer).toEqual([{ id: 'j', outcome: 'created' }])
    const [event] = transaction.streams.get('job-j') as [RecordedEvent]
    expect(event).toMatchObject({ type: 'Queued', at: setup.clock.now(), metadata: { actor: 'me' }, revision: 0 })
    expect(event.body).toMatchObject({ content: '"p"', salt: expect.any(Uint8Array) })
    expect(await setup.store.head()).toBe('')
    expect(setup.clock.soons).toBe(0)
  })

  test('what is there is read, bodies and all; an own new name is not looked up', async () => {
    const transaction = new Transaction()
    await within(transaction, enqueue('d'))
    expect(transaction.reads).toEqual([])
    await within(transaction, enqueue('j', '1', 'd'))
    expect(transaction.reads).toEqual(['job-d'])
    expect([...(transaction.appends.at(-1)?.expect ?? [])]).toEqual([
      ['job-j', 'none'],
      ['job-d', 0],
    ])
  })

  test('what was decided before in the same transaction counts', async () => {
    const transaction = new Transaction()
    await within(transaction, enqueue('j'))
    expect(await within(transaction, cancel('j'))).toBe(true)
    expect(await within(transaction, cancel('j'))).toBe(false)
    expect(transaction.streams.get('job-j')?.map(({ type }) => type)).toEqual(['Queued', 'Cancelled'])
  })

  test('an answer without facts needs no append', async () => {
    const transaction = new Transaction()
    await within(transaction, enqueue('j'))
    await within(transaction, cancel('j'))
    const before = transaction.appends.length
    await within(transaction, cancel('j'))
    expect(transaction.appends.length).toBe(before)
  })

  test('a name that is taken after all is looked up: the same content is a duplicate, other content is refused', async () => {
    const transaction = new Transaction()
    await within(transaction, enqueue('j'))
    expect(await within(transaction, enqueue('j'))).toEqual([{ id: 'j', outcome: 'duplicate' }])
    await expect(async () => open().journal.within(transaction, enqueue('j', '2'), undefined)).rejects.toThrow(
      JobExists,
    )
    expect(transaction.streams.get('job-j')).toHaveLength(1)
  })

  test('somebody who writes in between makes it decide again', async () => {
    const transaction = new Transaction(conflict('none'), conflict('none'))
    expect(await within(transaction, enqueue('j'))).toEqual([{ id: 'j', outcome: 'created' }])
    expect(transaction.appends).toHaveLength(3)
    expect(transaction.reads).toEqual(['job-j', 'job-j'])
  })

  test.each([
    ['somebody is always faster', [1, 2, 3].map(() => conflict('none')), 'TRANSACTION_CONFLICT', 'job-j'],
    ['the name was removed', [conflict('removed')], 'STREAM_REMOVED', 'Job j was removed'],
    [
      'the store refuses',
      [{ kind: 'rejected', error: new StoreUnavailable('disk full') } as const],
      'STORE_UNAVAILABLE',
      'disk full',
    ],
    ['nobody knows', [{ kind: 'unknown', error: new StoreUnavailable('gone') } as const], 'STORE_UNAVAILABLE', 'gone'],
    ['the store throws', [new StoreUnavailable('no transaction')], 'STORE_UNAVAILABLE', 'no transaction'],
  ])('who asked is told where %s', async (_name, answers, code, text) => {
    const transaction = new Transaction(...answers)
    const asked = async (): Promise<unknown> => open().journal.within(transaction, enqueue('j'), undefined)
    const error = await asked().catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code, message: expect.stringContaining(text) })
    expect(transaction.streams.size).toBe(0)
  })

  test('a refusal is thrown, and nothing is appended', async () => {
    const transaction = new Transaction()
    const asked = async (): Promise<unknown> => open().journal.within(transaction, cancel('nobody'), undefined)
    await expect(asked()).rejects.toMatchObject({ code: 'JOB_UNKNOWN' })
    expect(transaction.appends).toEqual([])
  })

  test('what the journal has under way on the same streams holds nobody up', async () => {
    const setup = open()
    const transaction = new Transaction()
    const own = setup.journal.submit(enqueue('j'))
    expect(await within(transaction, enqueue('j'), setup)).toEqual([{ id: 'j', outcome: 'created' }])
    expect(await own).toEqual([{ id: 'j', outcome: 'created' }])
  })
})

test('a conflict that goes on names the stream', () => {
  const transaction = new FakeTransaction(...[1, 2, 3].map(() => conflict(0)))
  expect(() => open().journal.within(transaction, enqueue('j'), undefined)).toThrow(TransactionConflict)
})

describe('steps that may or may not be asynchronous', () => {
  function* steps(values: readonly unknown[]): Generator<unknown, unknown[], unknown> {
    const seen: unknown[] = []
    for (const value of values) {
      try {
        seen.push(yield value)
      } catch (error) {
        seen.push(`caught ${(error as Error).message}`)
      }
    }
    return seen
  }

  test('answer at once where none is', () => {
    expect(drive(steps([1, 2]))).toEqual([1, 2])
    expect(drive(steps([]))).toEqual([])
  })

  test('answer later where one is, wherever it stands, and are given what it came to', async () => {
    const late = Promise.resolve('late')
    for (const values of [
      [late, 1],
      [1, late],
      [late, late],
    ]) {
      const driven = drive(steps(values))
      expect(driven).toBeInstanceOf(Promise)
      expect(await driven).toEqual(values.map((value) => (value === late ? 'late' : value)))
    }
  })

  test('may catch what a promise rejects with, and go on', async () => {
    const failing = Promise.reject(new Error('no'))
    expect(await drive(steps([1, failing, 2, Promise.resolve(3)]))).toEqual([1, 'caught no', 2, 3])
  })

  test('end with what they throw', async () => {
    // biome-ignore lint/correctness/useYield: a step that throws before it has anything to wait for
    const now = function* (): Generator<unknown, never, unknown> {
      throw new Error('now')
    }
    const later = function* (): Generator<unknown, never, unknown> {
      yield Promise.resolve()
      throw new Error('later')
    }
    expect(() => drive(now())).toThrow('now')
    await expect(drive(later())).rejects.toThrow('later')
  })
})
