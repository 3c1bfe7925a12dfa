import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JobState } from '../../domain/job/evolve.js'
import type { Lane } from '../../projections/pending-index.js'
import { PendingIndex } from '../../projections/pending-index.js'
import { fact, facts, stateAfter } from '../domain/support/jobs.js'

/** A job in the index, as the model has it: in line, or still to come. */
interface Entry {
  readonly job: JobState
  due: boolean
}

/** The same, the slow way: a list that is filtered and sorted each time. */
class SortedList {
  #entries: Entry[] = []
  readonly #current: (id: string) => JobState | undefined

  constructor(current: (id: string) => JobState | undefined) {
    this.#current = current
  }

  push(job: JobState, now: number): void {
    this.#entries.push({ job, due: job.runAt <= now })
  }

  promoteDue(now: number): boolean {
    const coming = this.#live().filter(({ job, due }) => !due && job.runAt <= now)
    for (const entry of coming) entry.due = true
    return coming.length > 0
  }

  nextDue(): number | undefined {
    const instants = this.scheduled().map(({ runAt }) => runAt)
    return instants.length === 0 ? undefined : Math.min(...instants)
  }

  scheduled(): JobState[] {
    return this.#live().flatMap(({ job, due }) => (due ? [] : [job]))
  }

  candidates(lanes: readonly Lane[], suspects: boolean): Entry[] {
    const fits = ({ job, due }: Entry): boolean =>
      due && (suspects || job.lost === 0) && lanes.some((lane) => isOf(job, lane))
    return this.#live()
      .filter(fits)
      .sort(
        ({ job: a }, { job: b }) => a.priority - b.priority || a.since - b.since || (a.position < b.position ? -1 : 1),
      )
  }

  take(lanes: readonly Lane[], suspects: boolean): JobState | undefined {
    const [first] = this.candidates(lanes, suspects)
    this.#entries = this.#entries.filter((entry) => entry !== first)
    return first?.job
  }

  #live(): Entry[] {
    return this.#entries.filter(({ job }) => this.#current(job.id) === job)
  }
}

const isOf = (job: JobState, { queue, channel, type }: Lane): boolean =>
  job.queue === queue && job.channel === channel && job.type === type

/** The index and the list, over the same jobs. */
class Pair {
  readonly jobs: Map<string, JobState> = new Map()
  readonly index: PendingIndex = new PendingIndex((id) => this.jobs.get(id))
  readonly list: SortedList = new SortedList((id) => this.jobs.get(id))
  now = 100

  push(job: JobState): void {
    this.jobs.set(job.id, job)
    this.index.push(job, this.now)
    this.list.push(job, this.now)
  }
}

const job = fc
  .record({
    number: fc.nat(14),
    priority: fc.integer({ min: -1, max: 1 }),
    since: fc.nat(3),
    place: fc.nat(1_000_000),
    runAt: fc.constantFrom(0, 0, 90, 105, 110),
    lost: fc.constantFrom(0, 0, 0, 1),
    type: fc.constantFrom('mail', 'mail', 'bill'),
    channel: fc.constantFrom('', '', 'c'),
  })
  .map(({ number, place, ...rest }): JobState => {
    const base = stateAfter(fact('Queued', facts())) as JobState
    return { ...base, ...rest, id: `j${number}`, position: `${String(place).padStart(8, '0')}-${number}` }
  })

type Deed = (pair: Pair) => void
/** Some of the lanes there are, by a bit each. */
const some = (pair: Pair, bits: number): Lane[] =>
  [...pair.index.lanes].filter((_, place) => ((bits >> place) & 1) === 1)

const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 4,
    arbitrary: job.map(
      (given): Deed =>
        (pair) =>
          pair.push(given),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(15), fc.boolean()).map(
      ([bits, suspects]): Deed =>
        (pair) => {
          const lanes = some(pair, bits)
          expect(pair.index.isEmpty(lanes)).toBe(pair.list.candidates(lanes, true).length === 0)
          const taken = pair.index.take(lanes, { suspects })
          expect(taken).toBe(pair.list.take(lanes, suspects))
        },
    ),
  },
  // Cancelled, leased by another, changed: the entry is stale.
  {
    weight: 1,
    arbitrary: fc.nat(14).map(
      (number): Deed =>
        (pair) =>
          void pair.jobs.delete(`j${number}`),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(6).map(
      (wait): Deed =>
        (pair) => {
          pair.now += wait
          expect(pair.index.promoteDue(pair.now)).toBe(pair.list.promoteDue(pair.now))
        },
    ),
  },
  // Looking drops what is stale on top, so it is not done after every deed.
  { weight: 1, arbitrary: fc.constant<Deed>((pair) => expect(pair.index.nextDue()).toBe(pair.list.nextDue())) },
)

describe('the pending index', { timeout: 0 }, () => {
  test('gives what a sorted list gives, whatever is pushed, taken, changed and awaited', () => {
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 80, size: 'max' }), (deeds) => {
        const pair = new Pair()
        for (const act of deeds) act(pair)
        expect(new Set(pair.index.scheduled())).toEqual(new Set(pair.list.scheduled()))
        const lanes = [...pair.index.lanes]
        for (let next = pair.list.take(lanes, true); next !== undefined; next = pair.list.take(lanes, true)) {
          expect(pair.index.take(lanes)).toBe(next)
        }
        expect(pair.index.take(lanes)).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  test('keeps the order of 20,000 jobs that come in order, also when they are taken in between', () => {
    const pair = new Pair()
    const base = stateAfter(fact('Queued', facts())) as JobState
    const taken: string[] = []
    for (let number = 0; number < 20_000; number += 1) {
      const next = { ...base, id: `j${number}`, since: number }
      pair.jobs.set(next.id, next)
      pair.index.push(next, 0)
      if (number % 3 === 0) taken.push((pair.index.take(pair.index.lanes, { suspects: false }) as JobState).id)
    }
    while (taken.length < 20_000) taken.push((pair.index.take(pair.index.lanes, { suspects: false }) as JobState).id)
    expect(taken).toEqual(Array.from({ length: 20_000 }, (_, number) => `j${number}`))
  })

  test('tells lanes apart that would look alike when glued together', () => {
    const pair = new Pair()
    const base = stateAfter(fact('Queued', facts())) as JobState
    const names = [
      ['a', 'b', 'c'],
      ['a\0b', '', 'c'],
      ['a', '', 'b\0c'],
      ['a","b', '', 'c'],
      ['', 'a', 'bc'],
    ] as const
    for (const [place, [queue, channel, type]] of names.entries())
      pair.push({ ...base, id: `j${place}`, queue, channel, type })
    expect(pair.index.laneCount).toBe(names.length)
    const lane = [...pair.index.lanes].find(({ queue }) => queue === 'a\0b') as Lane
    expect(pair.index.take([lane])?.id).toBe('j1')
    expect(pair.index.take([lane])).toBeUndefined()
  })

  test('keeps nothing of the jobs that went in an order in which nobody else takes', () => {
    const pair = new Pair()
    pair.index.serve('time')
    const base = stateAfter(fact('Queued', facts())) as JobState
    const urgent = { ...base, id: 'urgent', priority: -1, since: base.since + 1e9 }
    pair.push(urgent)
    for (let number = 0; number < 50_000; number += 1) {
      pair.push({ ...base, id: `j${number}`, since: base.since + number })
      expect(pair.index.take(pair.index.lanes, { order: 'time' })?.id).toBe(`j${number}`)
      pair.jobs.delete(`j${number}`)
    }
    expect(pair.index.load).toBeLessThan(10_000)
    expect(pair.index.take(pair.index.lanes)?.id).toBe('urgent')
  })

  test('has nothing to give where there are no lanes', () => {
    const pair = new Pair()
    expect(pair.index.take([])).toBeUndefined()
    expect(pair.index.nextDue()).toBeUndefined()
    expect(pair.index.promoteDue(Number.MAX_SAFE_INTEGER)).toBe(false)
  })
})
