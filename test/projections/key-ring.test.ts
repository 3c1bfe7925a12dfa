/** Jobs with a concurrency key in the pending index: keys take turns, and a full one is passed over. */
import { describe, expect, test } from 'vitest'
import type { Queued } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { PendingIndex } from '../../projections/pending-index.js'
import { fact, facts, NOW, stamped } from '../domain/support/jobs.js'

class Queue {
  readonly #jobs = new Map<string, JobState>()
  readonly index: PendingIndex = new PendingIndex((id) => this.#jobs.get(id))
  /** Keys that have no room for jobs whose limit is 1. */
  readonly full = new Set<string>()
  #age = 0

  push(id: string, key: string | undefined, given: Partial<Queued> = {}): void {
    this.#age += 1
    const concurrency = key === undefined ? {} : { concurrency: { key, limit: 1 } }
    const job = evolve(undefined, stamped(fact('Queued', facts({ ...concurrency, ...given }), id), NOW + this.#age))
    this.#jobs.set(id, job)
    this.index.push(job, NOW + this.#age)
  }

  cancel(id: string): void {
    this.#jobs.delete(id)
  }

  take(): string | undefined {
    const hasRoom = ({ rare }: JobState): boolean =>
      !this.full.has(rare?.concurrency?.key ?? '') || (rare?.concurrency?.limit ?? 0) > 1
    return this.index.take(this.index.lanes, { hasRoom })?.id
  }

  takeAll(): (string | undefined)[] {
    const taken: string[] = []
    for (let id = this.take(); id !== undefined; id = this.take()) taken.push(id)
    return taken
  }
}

describe('keys take turns', () => {
  test('within a lane', () => {
    const queue = new Queue()
    for (const id of ['a1', 'a2', 'a3']) queue.push(id, 'a')
    for (const id of ['b1', 'b2', 'c1']) queue.push(id, id[0])
    expect(queue.takeAll()).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
  })

  test('in several lanes, as of tenants that have a channel each', () => {
    const queue = new Queue()
    for (let n = 0; n < 1_000; n += 1) queue.push(`a${n}`, 'a', { channel: 'a' })
    queue.push('b', 'b', { channel: 'b' })
    queue.push('c', 'c', { channel: 'c' })
    expect([1, 2, 3, 4].map(() => queue.take())).toEqual(['a0', 'b', 'c', 'a1'])
  })

  test('within a priority, where lanes differ; one without a key goes by its age', () => {
    const queue = new Queue()
    for (const id of ['a1', 'a2']) queue.push(id, 'a', { channel: 'a' })
    queue.push('plain', undefined)
    queue.push('b', 'b', { channel: 'b', priority: 1 })
    queue.push('c', 'c', { channel: 'c', priority: -1 })
    expect(queue.takeAll()).toEqual(['c', 'a1', 'a2', 'plain', 'b'])
  })

  test('and within a key the most urgent goes first', () => {
    const queue = new Queue()
    queue.push('late', 'a', { priority: 5 })
    queue.push('soon', 'a', { priority: -5 })
    expect(queue.takeAll()).toEqual(['soon', 'late'])
  })
})

describe('a key without room', () => {
  test('is passed over until it is freed, and then comes after those who wait', () => {
    const queue = new Queue()
    for (const id of ['a1', 'a2', 'b1', 'b2']) queue.push(id, id[0])
    queue.full.add('a')
    expect(queue.take()).toBe('b1')
    queue.full.delete('a')
    // Nobody has said so.
    expect(queue.take()).toBe('b2')
    expect(queue.take()).toBeUndefined()
    queue.index.freed('a')
    expect(queue.takeAll()).toEqual(['a1', 'a2'])
  })

  test('has its turn again when a more urgent job comes whose own limit leaves room', () => {
    const queue = new Queue()
    queue.push('a1', 'a')
    queue.full.add('a')
    expect(queue.take()).toBeUndefined()
    queue.push('no more urgent', 'a', { priority: 1, concurrency: { key: 'a', limit: 5 } })
    expect(queue.take()).toBeUndefined()
    queue.push('more urgent', 'a', { priority: -1, concurrency: { key: 'a', limit: 5 } })
    expect(queue.takeAll()).toEqual(['more urgent'])
    queue.cancel('a1')
    queue.push('the last', 'a', { priority: 2, concurrency: { key: 'a', limit: 5 } })
    expect(queue.takeAll()).toEqual(['no more urgent', 'the last'])
  })

  test('takes up more jobs meanwhile, and lets go of those that are gone', () => {
    const queue = new Queue()
    queue.push('a1', 'a')
    queue.full.add('a')
    expect(queue.take()).toBeUndefined()
    queue.push('a2', 'a')
    queue.cancel('a1')
    queue.full.delete('a')
    queue.index.freed('a')
    expect(queue.takeAll()).toEqual(['a2'])
  })
})
