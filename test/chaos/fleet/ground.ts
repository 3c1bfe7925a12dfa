/** Where the log of a fleet is: every process of it opens the same URL. */
import { openEventStore } from '../../../adapters/eventstore/event-store.js'
import { openPostgresStore } from '../../../adapters/postgres/event-store.js'
import { openSqliteStore } from '../../../adapters/sqlite/event-store.js'
import type { RecordedEvent } from '../../../index.js'
import type { EventStore } from '../../../runtime/ports/event-store.js'

export interface Ground {
  /** Of a ledger that nobody has used yet. */
  readonly url: string
  /** The whole log, with bodies, in order. */
  log(): Promise<RecordedEvent[]>
}

export function sqliteFile(path: string): Ground {
  return { url: `sqlite:${path}`, log: () => wholeLog(() => openSqliteStore(path, { readonly: true })) }
}

export function postgresSchema(url: string): Ground {
  return { url, log: () => wholeLog(() => openPostgresStore(url)) }
}

export function eventStoreServer(url: string): Ground {
  return { url, log: () => wholeLog(() => openEventStore(url)) }
}

async function wholeLog(open: () => Promise<EventStore>): Promise<RecordedEvent[]> {
  const store = await open()
  const events: RecordedEvent[] = []
  for await (const page of store.readAll({ bodies: true })) events.push(...page)
  await store.close()
  return events
}
