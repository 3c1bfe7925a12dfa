import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Body, NewEvent, RecordedEvent } from '../../../domain/event.js'
import type { AppendGroup, Batch, EventRef, EventStore, ExpectedRevision } from '../../../runtime/ports/event-store.js'
import { after, ownTableOf } from './effects.js'
import { appendOk, body, collect, event, idsOf, kindsOf, type StoreFactory, type StoreUnderTest } from './harness.js'

const NAMES = ['job-0', 'job-1', 'job-2', 'job-3', 'queue-a', 'queue-b']

/** What a group is to do; numbers choose among what the store of that moment offers. */
interface Plan {
  /** Streams and how many events each gets; the first one always gets some. */
  readonly writes: readonly (readonly [stream: number, events: number])[]
  readonly reads: readonly number[]
  readonly removes: readonly number[]
  readonly erases: readonly (readonly [stream: number, revision: number])[]
  /** Whether one of the expectations is wrong, and by how much. */
  readonly mistake: 0 | 0 | 1 | -1
  readonly effects: 'none' | 'write' | 'throw'
  /** Sends an earlier group once more instead. */
  readonly again: number | undefined
}

const index = fc.nat(NAMES.length - 1)
const plan: fc.Arbitrary<Plan> = fc.record({
  writes: fc.array(fc.tuple(index, fc.integer({ min: 1, max: 12 })), { minLength: 1, maxLength: 3 }),
  reads: fc.array(index, { maxLength: 1 }),
  removes: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, fc.array(index, { maxLength: 2 })),
  erases: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(fc.tuple(index, fc.nat(6)), { maxLength: 3 })),
  mistake: fc.constantFrom(0, 0, 0, 0, 1, -1),
  effects: fc.constantFrom('none', 'none', 'write', 'throw'),
  again: fc.option(fc.nat(), { nil: undefined, freq: 8 }),
})

interface Entry {
  readonly id: string
  readonly stream: string
  readonly revision: number
  body: Body | { readonly hash: string } | undefined
}

/** What a log is, as simply as it can be said. */
class Model {
  log: Entry[] = []
  readonly rows: string[] = []
  readonly heads = new Map<string, number>()
  readonly removed = new Set<string>()
  /** Ids by place, of removed streams too. */
  readonly #stored = new Map<string, string>()

  append(group: AppendGroup, row: string | undefined): 'ok' | 'conflict' | 'rejected' {
    const holds = [...group.expect].every(
      ([stream, expected]) => !this.removed.has(stream) && (this.heads.get(stream) ?? 'none') === expected,
    )
    const places = placesOf(group)
    if (!holds) return this.#isStored(group, places) ? 'ok' : 'conflict'
    if (group.effects !== undefined && row === undefined) return 'rejected'
    for (const [at, each] of group.events.entries()) this.#add(each, places[at] ?? 0)
    for (const ref of group.erase ?? []) this.#erase(ref)
    for (const stream of group.remove ?? []) this.#remove(stream)
    if (row !== undefined && group.effects !== undefined) this.rows.push(row)
    return 'ok'
  }

  #isStored({ events }: AppendGroup, places: readonly number[]): boolean {
    return events.every(
      ({ stream, id }, at) => !this.removed.has(stream) && this.#stored.get(`${stream}@${places[at]}`) === id,
    )
  }

  #add({ stream, id, body: written }: NewEvent, revision: number): void {
    this.heads.set(stream, revision)
    this.#stored.set(`${stream}@${revision}`, id)
    this.log.push({ id, stream, revision, body: written as Body | undefined })
  }

  #erase({ stream, revision }: EventRef): void {
    const found = this.log.find((entry) => entry.stream === stream && entry.revision === revision)
    if (found?.body === undefined || 'hash' in found.body) return
    const { salt, content } = found.body
    found.body = { hash: createHash('sha256').update(salt).update(content).digest('hex') }
  }

  #remove(stream: string): void {
    if (!this.heads.has(stream)) return
    this.removed.add(stream)
    this.log = this.log.filter((entry) => entry.stream !== stream)
  }
}

/** The revision that each event of a group is to have. */
function placesOf({ expect: expected, events }: AppendGroup): number[] {
  const reached = new Map<string, number>()
  return events.map(({ stream }) => {
    const believed = expected.get(stream)
    const revision = (reached.get(stream) ?? (typeof believed === 'number' ? believed : -1)) + 1
    reached.set(stream, revision)
    return revision
  })
}

/** One log under test, with what was done to it. */
class Trial {
  readonly #under: StoreUnderTest
  readonly #model = new Model()
  /** Where the streams will stand, for the groups of one call that build on each other. */
  #hopes = new Map<string, ExpectedRevision>()
  readonly #sent: { readonly group: AppendGroup; readonly row: string | undefined }[] = []
  /** Ids of the events of all groups that were ever ok. */
  readonly committed = new Set<string>()

  constructor(under: StoreUnderTest) {
    this.#under = under
  }

  async call(plans: readonly Plan[], store: EventStore): Promise<void> {
    this.#hopes = new Map(this.#model.heads)
    const made = plans.map((each) => this.#make(each))
    const expected = made.map(({ group, row }) => this.#model.append(group, row))
    const outcomes = await store.append(made.map(({ group }) => group))
    expect(kindsOf(outcomes)).toEqual(expected)
    for (const [at, { group }] of made.entries())
      if (expected[at] === 'ok') for (const { id } of group.events) this.committed.add(id)
    await this.#compare(store)
  }

  async #compare(store: EventStore): Promise<void> {
    const log = await collect(store.readAll({ bodies: true }))
    expect(log.map(entryOf)).toEqual(this.#model.log.map(plainEntry))
    expect(log.at(-1)?.position ?? '').toBe(await store.head())
    for (const name of NAMES) {
      const mine = this.#model.log.filter(({ stream }) => stream === name)
      expect(idsOf(await collect(store.readStream(name)))).toEqual(idsOf(mine))
    }
    if (this.#under.ownTable !== undefined) expect(await this.#under.ownTable.rows()).toEqual(this.#model.rows)
  }

  #make({ again, ...wanted }: Plan): { group: AppendGroup; row: string | undefined } {
    const earlier = again === undefined ? undefined : this.#sent[again % Math.max(1, this.#sent.length)]
    if (earlier !== undefined) return earlier
    const made = {
      group: this.#group(wanted),
      row: wanted.effects === 'write' ? `row ${this.#sent.length}` : undefined,
    }
    const { transactions } = this.#under.store.capabilities
    const group = transactions ? { ...made.group, ...this.#effects(wanted.effects, made.row) } : made.group
    this.#sent.push({ group, row: made.row })
    return { group, row: made.row }
  }

  #group({ writes, reads, removes, erases, mistake }: Omit<Plan, 'again'>): AppendGroup {
    const narrow = !this.#under.store.capabilities.atomicGroups
    const written = writes.slice(0, narrow ? 1 : 3).flatMap(([at, count]) => Array<string>(count).fill(nameOf(at)))
    const remove = narrow ? [] : removes.map(nameOf).filter((name) => !written.includes(name))
    const streams = new Set([...written, ...(narrow ? [] : reads.map(nameOf)), ...remove])
    const expected = new Map([...streams].map((name) => [name, this.#hopes.get(name) ?? ('none' as const)]))
    const first = written[0] ?? nameOf(0)
    if (mistake !== 0) expected.set(first, wrong(expected.get(first) ?? 'none', mistake))
    const events = written.map((stream, at) => event(stream, at % 3 === 0 ? { body: body(`body ${at}`) } : {}))
    for (const [at, revision] of placesOf({ expect: expected, events }).entries())
      this.#hopes.set(written[at] ?? '', revision)
    const erase = erases.map(([at, revision]) => ({ stream: nameOf(at), revision }))
    const { erase: canErase } = this.#under.store.capabilities
    return { expect: expected, events, ...(canErase && { erase }), ...(remove.length > 0 && { remove }) }
  }

  #effects(kind: Plan['effects'], row: string | undefined): Pick<AppendGroup, 'effects'> {
    if (kind === 'none') return {}
    const table = ownTableOf(this.#under)
    const fail = (): void => {
      if (row === undefined) throw new Error('planned')
    }
    return { effects: (transaction) => after(table.insert(transaction, row ?? 'never'), fail) }
  }
}

function nameOf(at: number): string {
  return NAMES[at] ?? ''
}

function wrong(expected: ExpectedRevision, by: number): ExpectedRevision {
  if (expected === 'none') return by === 1 ? 0 : 7
  return expected + by < 0 ? 'none' : expected + by
}

function plainEntry(entry: Entry): unknown {
  const { id, stream, revision, body: found } = entry
  const kept = found === undefined || 'hash' in found ? found : { content: found.content }
  return { id, stream, revision, body: kept }
}

function entryOf({ id, stream, revision, body: found }: RecordedEvent): unknown {
  const kept =
    found === undefined
      ? undefined
      : 'hash' in found
        ? { hash: Buffer.from(found.hash).toString('hex') }
        : { content: found.content }
  return { id, stream, revision, body: kept }
}

async function followUntil(batches: AsyncIterable<Batch>, id: string): Promise<string[]> {
  const seen: string[] = []
  for await (const batch of batches) {
    if (batch.kind === 'events') seen.push(...idsOf(batch.events))
    if (seen.at(-1) === id) break
  }
  return seen
}

export function mixtureTests(factory: StoreFactory): void {
  it('plain, conflicting, repeated, erasing, removing and failing ones: the store is what a simple model says', async () => {
    const calls = fc.array(fc.tuple(fc.array(plan, { minLength: 1, maxLength: 5 }), fc.boolean()), {
      minLength: 1,
      maxLength: 8,
    })
    await fc.assert(
      fc.asyncProperty(calls, async (all) => {
        const under = await factory()
        const second = await under.openSecond?.()
        const abort = new AbortController()
        const last = event('end-1')
        const live = followUntil(under.store.subscribe({ signal: abort.signal }), last.id)
        const trial = new Trial(under)
        for (const [plans, other] of all) await trial.call(plans, other && second !== undefined ? second : under.store)
        await appendOk(under.store, { 'end-1': 'none' }, last)
        const log = idsOf(await collect(under.store.readAll()))
        const seen = await live
        // What was removed later was seen before; all else comes once and in order.
        expect(seen.filter((id) => log.includes(id))).toEqual(log)
        expect(new Set(seen).size).toBe(seen.length)
        expect(seen.slice(0, -1).every((id) => trial.committed.has(id))).toBe(true)
        abort.abort()
        await second?.close()
        await under.dispose()
      }),
      { numRuns: 60 },
    )
  })
}
