/** What the suites ask of a store's own test file, and the words their tests are written in. */
import { randomBytes, randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect } from 'vitest'
import type { Body, EventTexts, NewEvent, RecordedEvent } from '../../../domain/event.js'
import type {
  AppendGroup,
  AppendOutcome,
  Batch,
  EventStore,
  ExpectedRevision,
} from '../../../runtime/ports/event-store.js'

/** One new, empty log. */
export interface StoreUnderTest {
  readonly store: EventStore
  /** Another handle on the same log, as another process has it. Leave it out where there is none. */
  readonly openSecond?: () => Promise<EventStore>
  /** Runs `work` in a transaction of the caller's own and ends it as told. Needed with the capability `transactions`. */
  readonly ownTransaction?: (
    end: 'commit' | 'rollback',
    work: (transaction: unknown) => Promise<void> | void,
  ) => Promise<void>
  /** A table of the caller's own in the store's database. Needed with the capability `transactions`. */
  readonly ownTable?: OwnTable
  /** Takes everything down again; `store` may be closed already. */
  readonly dispose: () => Promise<void>
}

export interface OwnTable {
  /** Writes one row inside the transaction that a group's `effects` are handed; may give back a promise if the store's do. */
  readonly insert: (transaction: unknown, text: string) => unknown
  /** The rows that others see, in the order in which they were written. */
  readonly rows: () => Promise<string[]>
}

export type StoreFactory = () => Promise<StoreUnderTest>

/** A fresh store for each test of the enclosing `describe`. */
export function freshStores(factory: StoreFactory): () => StoreUnderTest {
  let current: StoreUnderTest | undefined
  beforeEach(async () => {
    current = await factory()
  })
  afterEach(async () => {
    await current?.dispose()
    current = undefined
  })
  return () => {
    if (current === undefined) throw new Error('No store: call this inside a test.')
    return current
  }
}

type Details = Partial<Omit<NewEvent, 'stream'>>

export function event(stream: string, details: Details = {}): NewEvent {
  return { stream, id: randomUUID(), type: 'Noted', at: 1_700_000_000_000, data: {}, ...details }
}

export function events(stream: string, count: number, details: Details = {}): NewEvent[] {
  return Array.from({ length: count }, (_, index) => event(stream, { data: { index }, ...details }))
}

export function group(expected: Readonly<Record<string, ExpectedRevision>>, ...all: NewEvent[]): AppendGroup {
  return { expect: new Map(Object.entries(expected)), events: all }
}

export function body(content: string | Uint8Array): Body {
  return { salt: randomBytes(16), content }
}

/** Appends one group and insists that it is stored. */
export async function appendOk(
  store: EventStore,
  expected: Readonly<Record<string, ExpectedRevision>>,
  ...all: NewEvent[]
): Promise<string> {
  const [outcome] = await store.append([group(expected, ...all)])
  if (outcome?.kind !== 'ok') throw new Error(`Expected ok, got ${JSON.stringify(outcome)}.`)
  return outcome.position
}

/** Appends one group and gives back its outcome. */
export async function appendOne(
  store: EventStore,
  expected: Readonly<Record<string, ExpectedRevision>>,
  ...all: NewEvent[]
): Promise<AppendOutcome | undefined> {
  const outcomes = await store.append([group(expected, ...all)])
  expect(outcomes).toHaveLength(1)
  return outcomes[0]
}

export async function collect<Item>(pages: AsyncIterable<readonly Item[]>): Promise<Item[]> {
  const all: Item[] = []
  for await (const page of pages) all.push(...page)
  return all
}

export function idsOf(all: readonly { readonly id: string }[]): string[] {
  return all.map(({ id }) => id)
}

export function kindsOf(outcomes: readonly AppendOutcome[]): string[] {
  return outcomes.map(({ kind }) => kind)
}

/** Batches until `enough` events were seen or the subscription ends. */
export async function follow(batches: AsyncIterable<Batch>, enough: number): Promise<RecordedEvent[]> {
  const seen: RecordedEvent[] = []
  if (enough === 0) return seen
  for await (const batch of batches) {
    if (batch.kind === 'events') seen.push(...batch.events)
    if (seen.length >= enough) break
  }
  return seen
}

/** A body as plain text and hex, so that buffers of different classes compare. */
export function plainBody(recorded: RecordedEvent | EventTexts | undefined): unknown {
  const found = recorded?.body
  if (found === undefined) return undefined
  if ('hash' in found) return { hash: hex(found.hash) }
  return {
    salt: hex(found.salt),
    content: typeof found.content === 'string' ? found.content : { hex: hex(found.content) },
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
