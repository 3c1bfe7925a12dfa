/** A server that goes away, falls silent, loses its notifications or is held up: what a log does, and what it says. Real time. */
import pg from 'pg'
import { describe, expect, it, vi } from 'vitest'
import { openPostgresStore } from '../../adapters/postgres/event-store.js'
import { type AppendGroup, StoreUnavailable } from '../../runtime/ports/event-store.js'
import { appendOk, event, group, idsOf, kindsOf } from '../conformance/event-store/harness.js'
import { type LogLine, listeningLogger } from '../engine/support.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import { Relay } from '../support/postgres-relay.js'

/** A log behind a relay, what it says, and a client of somebody else's on the same database. */
async function scene() {
  const schema = await freshSchema()
  const relay = await Relay.to(schema.url)
  const lines: LogLine[] = []
  const store = await openPostgresStore(relay.url, { logger: listeningLogger(lines) })
  const client = new pg.Client({ connectionString: schema.url, application_name: 'the slow one' })
  await client.connect()
  return {
    ...{ schema, relay, lines, store, client },
    said: () => lines.map(({ level, message }) => `${level}: ${message}`),
    async [Symbol.asyncDispose]() {
      await client.end()
      await store.close()
      await relay.close()
      await schema.drop()
    },
  }
}

const job = (n: number): AppendGroup => group({ [`job-${n}`]: 'none' }, event(`job-${n}`))

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined).concurrent(missing ?? 'a server', () => {
  it('that goes away and comes back: both are said, once', async () => {
    await using at = await scene()
    const { store, relay, lines } = at
    expect(kindsOf(await store.append([job(1)]))).toEqual(['ok'])
    expect(lines).toEqual([])
    await relay.close()
    for (let n = 0; n < 3; n += 1) await expect(store.ping()).rejects.toThrow(StoreUnavailable)
    expect(kindsOf(await store.append([job(2)]))).toEqual(['rejected'])
    expect(at.said()).toEqual(['warn: the store cannot be reached: it is tried again and again'])
    await relay.open()
    expect(kindsOf(await store.append([job(2)]))).toEqual(['ok'])
    expect(at.said()).toEqual([expect.anything(), 'info: the store can be reached again'])
    expect(lines[1]?.facts).toEqual({
      ...{ store: expect.stringMatching(/^postgres:\/\/127\.0\.0\.1:\d+\/postgres$/) },
      ...{ forMs: expect.any(Number), tries: expect.any(Number) },
    })
  })

  it('that does not deliver notifications: a subscriber gets what others commit all the same', async () => {
    await using at = await scene()
    const other = await openPostgresStore(at.schema.url)
    at.relay.deaf = true
    const over = new AbortController()
    const seen: string[] = []
    const following = (async () => {
      for await (const batch of at.store.subscribe({ signal: over.signal })) {
        if (batch.kind === 'events') seen.push(...idsOf(batch.events))
      }
    })()
    let sent = 0
    const saysNow = (...all: string[]): Promise<void> =>
      vi.waitFor(
        async () => {
          sent += 1
          await appendOk(other, { [`job-${sent}`]: 'none' }, event(`job-${sent}`))
          expect(at.said()).toEqual(all)
        },
        { timeout: 30_000, interval: 100 },
      )
    const quiet = 'info: notifications of commits do not arrive, as through a pooler: the log is asked every 100 ms'
    await saysNow(quiet)
    at.relay.deaf = false
    await saysNow(quiet, 'info: notifications of commits arrive again')
    await vi.waitFor(() => expect(seen).toHaveLength(sent))
    over.abort()
    await following
    await other.close()
  })

  it('that falls silent for good does not keep a log from being closed', async () => {
    await using at = await scene()
    at.relay.freeze()
    const appending = at.store.append([job(1)])
    await at.store.close()
    expect(kindsOf(await appending)).toEqual(['unknown'])
  })

  it('on which somebody leaves a transaction open: appends are rejected, and it is said who does', async () => {
    await using at = await scene()
    const { client, store, lines } = at
    await client.query('BEGIN')
    expect(kindsOf(await store.within(client).append([job(1)]))).toEqual(['ok'])
    const [outcome] = await store.append([job(2)])
    expect(outcome).toHaveProperty('error.message', expect.stringMatching(/another writer holds the log for too long/))
    const message = 'another transaction holds the log: nobody else can write until it ends'
    const facts = {
      ...{ store: expect.any(String), pid: expect.any(Number), application: 'the slow one' },
      ...{ state: 'idle in transaction', forMs: expect.any(Number) },
    }
    await vi.waitFor(() => expect(lines).toEqual([{ level: 'warn', message, facts }]))
    await client.query('ROLLBACK')
    expect(kindsOf(await store.append([job(2)]))).toEqual(['ok'])
  })

  it('ends by itself what connections of a log do for too long', async () => {
    await using at = await scene()
    const names = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
    const limits: unknown[] = []
    const effects = async (own: unknown): Promise<void> => {
      for (const name of names) limits.push((await (own as pg.ClientBase).query(`SHOW ${name}`)).rows[0])
    }
    await at.store.append([{ ...job(1), effects }])
    expect(limits).toEqual([
      { statement_timeout: '25s' },
      { lock_timeout: '10s' },
      { idle_in_transaction_session_timeout: '30s' },
    ])
  })
})
