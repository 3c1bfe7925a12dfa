/** Whatever a ledger is pointed at: a typed error that says what is wrong, soon, and without the password. Real time. */
import { createServer, type Server } from 'node:net'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import { loadDriver, type Pool } from '../../adapters/postgres/driver.js'
import { openPostgresStore } from '../../adapters/postgres/event-store.js'
import type { PostgresOptions } from '../../adapters/postgres/open.js'
import { InvalidOption } from '../../domain/errors.js'
import { type AppendOutcome, StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { appendOk, event, group } from '../conformance/event-store/harness.js'
import { freshSchema, missingPostgres, type TestSchema } from '../support/postgres.js'
import { Relay } from '../support/postgres-relay.js'

const LIMIT_MS = 10_000

interface Refusal {
  readonly error: Error
  readonly ms: number
}

async function refusalOf(call: () => Promise<{ close(): Promise<void> }>): Promise<Refusal> {
  const began = performance.now()
  try {
    const opened = await call()
    await opened.close()
  } catch (error) {
    if (error instanceof Error) return { error, ms: performance.now() - began }
  }
  throw new Error('It was opened.')
}

const refusal = (where: string | Pool, options: PostgresOptions = {}): Promise<Refusal> =>
  refusalOf(() => openPostgresStore(where, options))

/** All that a logger would write of an error. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error) ?? ''
  return [error.message, error.stack, JSON.stringify({ ...error }), told(error.cause)].join('\n')
}

function expectRefusal({ error, ms }: Refusal, kind: new (...all: never[]) => Error, message: RegExp | string): void {
  expect(error).toBeInstanceOf(kind)
  expect(error.message).toMatch(message)
  expect(told(error)).not.toContain('hush')
  expect(ms).toBeLessThan(LIMIT_MS)
}

function expectRejected(outcomes: readonly AppendOutcome[], message: RegExp): void {
  expect(outcomes).toEqual([{ kind: 'rejected', error: expect.any(StoreUnavailable) }])
  expect(outcomes[0]).toHaveProperty('error.message', expect.stringMatching(message))
}

const unhandled: unknown[] = []
const note = (reason: unknown): unknown => unhandled.push(reason)
beforeEach(() => {
  unhandled.length = 0
  process.on('unhandledRejection', note)
})
afterEach(() => {
  process.off('unhandledRejection', note)
  expect(unhandled).toEqual([])
})

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as { port: number }).port
}

describe('a URL', () => {
  it.each([
    ['postgres://[', /^Expected a URL like postgres:\/\/user@host:5432\/database, got one that cannot be read/],
    ['postgres://me:hush@host:port:x/', /cannot be read/],
    ['postgres://me:hush@localhost/%ff', /cannot be read/],
    ['mysql://me:hush@host/', /^Expected a URL like postgres:/],
    ['postgres:', /^Expected a URL like postgres:/],
    ['postgres://me:42/hush@host/jobs', /^Expected user and password, .* to be percent-encoded/],
    ['postgres://me:42?hush@host/jobs', /^Expected user and password, .* to be percent-encoded/],
    ['postgres://localhost/jobs?schema=', /^Expected the name of a schema, of 1 to 50 bytes, got ''/],
    [`postgres://localhost/jobs?schema=${'x'.repeat(51)}`, /of 1 to 50 bytes, got 'x+'/],
    ['postgres://localhost/jobs?schema=%ff', /^Expected `\?schema=` to be encoded as URLs are, got '%ff'/],
    ['postgres://localhost/jobs?schema=pg_catalog', /^Expected the name of a schema of its own, got 'pg_catalog'/],
    ['postgres://localhost/jobs?schema=a%00b', /^Expected the name of a schema of its own/],
  ])('%s is refused before anything is connected', async (url, message) => {
    expectRefusal(await refusal(url), StoreUnusable, message)
  })

  it.each(['mysql://me:hush@host/jobs', 'mongodb://me:hu@sh/hush@host', 'redis://host?password=hush', 'postgress://a'])(
    'of another scheme is refused by openLedger: %s',
    async (url) => {
      const refused = await refusalOf(() => openLedger({ url }))
      expectRefusal(refused, InvalidOption, /^Expected `openLedger\.url` to be/)
    },
  )

  it('of a file that is not there says so', async () => {
    const refused = await refusal('postgres://me:hush@localhost/jobs?sslrootcert=/nowhere.pem')
    expectRefusal(refused, StoreUnavailable, /a file that the URL names cannot be read .*nowhere\.pem/)
  })
})

it('without the package pg a ledger says how to get it', async () => {
  const missing = Object.assign(new Error("Cannot find package 'pg'"), { code: 'ERR_MODULE_NOT_FOUND' })
  const error = await loadDriver(() => Promise.reject(missing)).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(StoreUnusable)
  expect(error).toHaveProperty('message', 'A postgres: ledger needs the package pg. Run: npm install pg')
})

describe('where no PostgreSQL answers', () => {
  it('because nobody listens, is said', async () => {
    const refused = await refusal('postgres://me:hush@127.0.0.1:1/jobs')
    expectRefusal(refused, StoreUnavailable, /^postgres:\/\/127\.0\.0\.1:1\/jobs: nobody listens there/)
  })

  it('because there is no such host, is said', async () => {
    const refused = await refusal('postgres://me:hush@jobledger.invalid/jobs')
    expectRefusal(
      refused,
      StoreUnavailable,
      /^postgres:\/\/jobledger\.invalid:5432\/jobs: (there is no such host|the name)/,
    )
  })

  it('because somebody else does, is said', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const refused = await refusal(`postgres://me:hush@127.0.0.1:${await listening(server)}/jobs`)
    expectRefusal(refused, StoreUnavailable, /the connection failed/)
    server.close()
  })

  it('because it hangs up in the moment in which it has let somebody in, is said', async () => {
    const message = (type: string, body: Buffer): Buffer => {
      const head = Buffer.alloc(5)
      head.write(type)
      head.writeInt32BE(body.length + 4, 1)
      return Buffer.concat([head, body])
    }
    const shutdown = Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0')
    const all = [message('R', Buffer.alloc(4)), message('Z', Buffer.from('I')), message('E', shutdown)]
    const server = createServer((socket) => socket.once('data', () => socket.end(Buffer.concat(all))))
    const url = `postgres://me:hush@127.0.0.1:${await listening(server)}/jobs`
    const pool = new pg.Pool({ connectionString: url })
    expectRefusal(
      await refusal(url),
      StoreUnavailable,
      /shutting down, or has cut the connection|the connection failed/,
    )
    expectRefusal(
      await refusal(pool),
      StoreUnavailable,
      /shutting down, or has cut the connection|the connection failed/,
    )
    expect(pool.listenerCount('connect')).toBe(0)
    server.close()
  })

  it('because it is silent, is given up', async () => {
    const silent = createServer(() => {})
    const url = `postgres://me:hush@127.0.0.1:${await listening(silent)}/jobs`
    const pool = new pg.Pool({ connectionString: url })
    const [own, given] = await Promise.all([refusal(url), refusal(pool)])
    expectRefusal(own, StoreUnavailable, /timeout/)
    expectRefusal(given, StoreUnavailable, /^the given pool: .*no connection within 8 s/)
    silent.close()
  })
})

it('a server that is too old is refused, whoever brings the Pool', async () => {
  const client = {
    query: async () => ({ rows: [['120022', 'UTF8', 'read committed', 'f']] }),
    ...{ on: () => {}, removeListener: () => {}, release: () => {} },
  }
  const pool = { connect: async () => client, end: async () => {}, on: () => {}, removeListener: () => {} }
  expectRefusal(await refusal(pool), StoreUnusable, 'the given pool: expected PostgreSQL 13 or newer, found 12.')
})

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'a server that answers', () => {
  let schema: TestSchema
  let client: pg.Client
  beforeEach(async () => {
    schema = await freshSchema()
    client = new pg.Client({ connectionString: schema.url })
    await client.connect()
  })
  afterEach(async () => {
    await client.end()
    await schema.drop()
  })

  /** The URL for somebody else, and a Pool of the same. */
  async function expectBoth(change: (url: URL) => void, kind: new (...all: never[]) => Error, message: RegExp) {
    const url = new URL(schema.url)
    change(url)
    expectRefusal(await refusal(url.href), kind, message)
    const pool = new pg.Pool({ connectionString: url.href })
    expectRefusal(await refusal(pool, { schema: schema.name }), kind, message)
    await pool.end()
  }

  it('but falls silent while a ledger is opened is given up', async () => {
    const relay = await Relay.to(schema.url)
    await (await openPostgresStore(relay.url)).close()
    const pool = new pg.Pool({ connectionString: relay.url })
    await pool.query('SELECT')
    relay.freeze()
    const given = await refusal(pool, { schema: schema.name })
    expectRefusal(given, StoreUnavailable, /^the given pool: the server does not answer within 9 s/)
    await relay.close()
    await pool.end()
  })

  it('but has no such database says so', async () => {
    const lost = (url: URL): void => {
      url.pathname = '/jobledger_no_such'
    }
    await expectBoth(lost, StoreUnavailable, /there is no such database \(3D000/)
  })

  it('but refuses the user says so', async () => {
    const nobody = (url: URL): void => {
      url.username = 'jobledger_nobody'
      url.password = 'hush'
    }
    await expectBoth(nobody, StoreUnavailable, /the server refuses this user or password \(28/)
  })

  describe('a user of few rights', () => {
    beforeEach(() => client.query(`CREATE ROLE ${schema.name} LOGIN`))
    afterEach(async () => {
      await client.query(`DROP OWNED BY ${schema.name}`)
      await client.query(`DROP ROLE ${schema.name}`)
    })
    const weak = (url: URL): void => {
      url.username = schema.name
    }

    it('that may not make a schema is told so', async () => {
      await expectBoth(weak, StoreUnavailable, /the user lacks a permission \(42501/)
    })

    it('that may not read the log is told so', async () => {
      await (await openPostgresStore(schema.url)).close()
      await expectBoth(weak, StoreUnavailable, /the user lacks a permission \(42501/)
    })

    it('that may read but not write is told so when it writes', async () => {
      await (await openPostgresStore(schema.url)).close()
      await client.query(`GRANT USAGE ON SCHEMA ${schema.name} TO ${schema.name}`)
      await client.query(`GRANT SELECT ON ALL TABLES IN SCHEMA ${schema.name} TO ${schema.name}`)
      const url = new URL(schema.url)
      weak(url)
      const store = await openPostgresStore(url.href)
      const outcomes = await store.append([group({ 'job-1': 'none' }, event('job-1'))])
      expectRejected(outcomes, /the user lacks a permission \(42501/)
      await store.close()
    })
  })

  it('but reads only says so', async () => {
    await (await openPostgresStore(schema.url)).close()
    const url = new URL(schema.url)
    url.searchParams.set('options', '-c default_transaction_read_only=on')
    const store = await openPostgresStore(url.href)
    const outcomes = await store.append([group({ 'job-1': 'none' }, event('job-1'))])
    expectRejected(outcomes, /the server is read-only \(25006/)
    await store.close()
    const fresh = new URL(url.href)
    fresh.searchParams.set('schema', `${schema.name}_2`)
    expectRefusal(await refusal(fresh.href), StoreUnavailable, /the server is read-only \(25006/)
  })

  it('but has another isolation of transactions by default: connections of our own set theirs, a Pool is refused', async () => {
    const url = new URL(schema.url)
    await client.query(`CREATE ROLE ${schema.name} SUPERUSER LOGIN`)
    await client.query(`ALTER ROLE ${schema.name} SET default_transaction_isolation = 'repeatable read'`)
    url.username = schema.name
    await (await openPostgresStore(url.href)).close()
    const pool = new pg.Pool({ connectionString: url.href })
    const refused = await refusal(pool, { schema: schema.name })
    expectRefusal(
      refused,
      StoreUnusable,
      /expected READ COMMITTED as the default of transactions, found REPEATABLE READ/,
    )
    await pool.end()
    await client.query(`DROP OWNED BY ${schema.name} CASCADE; DROP ROLE ${schema.name}`)
  })

  it('with a log of a newer version, or with tables of another program, is refused', async () => {
    await (await openPostgresStore(schema.url)).close()
    await client.query(`UPDATE ${schema.name}.log SET version = 99`)
    await expectBoth(() => {}, StoreUnusable, /schema version 99, .*Use a newer jobledger/)
    await client.query(`DROP TABLE ${schema.name}.log`)
    await expectBoth(() => {}, StoreUnusable, /another program's/)
  })

  it('where somebody holds up the making of a log is given up', async () => {
    await client.query("BEGIN; SELECT pg_advisory_xact_lock(hashtext('jobledger'), 0)")
    const refused = await refusal(schema.url)
    await client.query('ROLLBACK')
    expectRefusal(refused, StoreUnavailable, /\(55P03/)
  })

  it.each(['with space', 'Größe', `"q'`, 'a.b', 'UPPER', 'public-ish?'])(
    'has a schema by the name %s',
    async (name) => {
      const own = `${name} ${schema.name}`.slice(0, 40)
      const url = new URL(schema.url)
      url.searchParams.set('schema', own)
      const store = await openPostgresStore(url.href)
      await appendOk(store, { 'job-1': 'none' }, event('job-1'))
      await store.close()
      const { rows } = await client.query('SELECT nspname FROM pg_namespace WHERE nspname = $1', [own])
      await client.query(`DROP SCHEMA ${client.escapeIdentifier(own)} CASCADE`)
      expect(rows).toEqual([{ nspname: own }])
    },
  )
})
