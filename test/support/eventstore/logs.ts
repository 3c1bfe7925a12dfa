/** Logs for tests on a server: each has a prefix of its own, and leaves none of it behind. */
import { openEventStore } from '../../../adapters/eventstore/event-store.js'
import { LOG_STREAM } from '../../../adapters/eventstore/schema.js'

/** The real server that tests are given, if any. */
export const realServer: string | undefined = process.env.JOBLEDGER_TEST_ESDB_URL

/** A title for what needs it, with the reason when it is skipped. */
export const withRealServer: string =
  realServer === undefined ? 'needs a server: set JOBLEDGER_TEST_ESDB_URL' : 'with a real server'

/** URL of a log that is not there yet. */
export function freshLog(server: string): string {
  return `${server}${server.includes('?') ? '&' : '?'}prefix=test_${crypto.randomUUID().replaceAll('-', '')}`
}

/** Takes out what a test has written: a scavenge then leaves nothing but the tombstones. */
export async function removeLog(url: string): Promise<void> {
  const store = await openEventStore(url)
  const streams = new Set<string>()
  for await (const page of store.readAll()) for (const { stream } of page) streams.add(stream)
  await store.remove([...streams, LOG_STREAM])
  await store.close()
}
