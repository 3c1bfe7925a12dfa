/** A store on a server of EventStoreDB that does wrong what it is told to. */
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import { type EventStoreDBStore, openEventStore } from '../../adapters/eventstore/event-store.js'
import type { AppendGroup, AppendOutcome, EventStore } from '../../runtime/ports/event-store.js'
import { collect, event, group, idsOf } from '../conformance/event-store/harness.js'
import { type LogLine, listeningLogger } from '../engine/support.js'
import { FakeEventStore } from '../support/eventstore/server.js'

export interface Scene extends AsyncDisposable {
  readonly fake: FakeEventStore
  readonly store: EventStoreDBStore
  readonly lines: LogLine[]
}

export async function scene(query = ''): Promise<Scene> {
  const fake = await FakeEventStore.start()
  const lines: LogLine[] = []
  const store = await openEventStore(fake.url(query), { logger: listeningLogger(lines) })
  return {
    ...{ fake, store, lines },
    async [Symbol.asyncDispose]() {
      await store.close()
      await fake.stop()
    },
  }
}

export const never = (): AbortSignal => new AbortController().signal

export const job = (n: number): AppendGroup => group({ [`job-${n}`]: 'none' }, event(`job-${n}`))

export const jobs = (count: number): AppendGroup[] => Array.from({ length: count }, (_, n) => job(n))

/** Sends again what nobody can say anything of, or what could not be sent, until all is told. */
export async function insist(store: EventStore, groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
  const outcomes = await store.append(groups)
  const open = outcomes.flatMap(({ kind }, index) => (kind === 'unknown' || kind === 'rejected' ? [index] : []))
  if (open.length === 0) return outcomes
  await pause(20)
  const later = await insist(
    store,
    open.flatMap((index) => groups[index] ?? []),
  )
  return outcomes.map((outcome, index) => (open.includes(index) ? (later.shift() ?? outcome) : outcome))
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(5)
}

/** One event of the log is its own. */
export const written = ({ fake }: Scene): number => fake.log.all.length - 1

export async function expectOnce(store: EventStore, groups: readonly AppendGroup[]): Promise<void> {
  const ids = idsOf(groups.flatMap((each) => each.events))
  expect(idsOf(await collect(store.readAll())).sort()).toEqual([...ids].sort())
}

/** Another store on the same server. */
export async function another(
  { fake }: Scene,
  query = '',
): Promise<{ readonly store: EventStoreDBStore } & AsyncDisposable> {
  const store = await openEventStore(fake.url(query))
  return { store, [Symbol.asyncDispose]: () => store.close() }
}

export const FakeServer = {
  async start(): Promise<{ readonly fake: FakeEventStore } & AsyncDisposable> {
    const fake = await FakeEventStore.start()
    return { fake, [Symbol.asyncDispose]: () => fake.stop() }
  },
}
