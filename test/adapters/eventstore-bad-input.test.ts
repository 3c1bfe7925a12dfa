/** Whatever a ledger is pointed at: a typed error that says what is wrong, soon, and without the password. Real time. */
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openEventStore } from '../../adapters/eventstore/event-store.js'
import { viewsOf } from '../../adapters/eventstore/url.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { InvalidOption } from '../../domain/errors.js'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { makeCertificate, missingOpenssl, type TestCertificate } from '../support/eventstore/certificate.js'
import type { Faults } from '../support/eventstore/faults.js'
import { FakeEventStore } from '../support/eventstore/server.js'
import { temporaryFolder } from './temporary-folder.js'

const LIMIT_MS = 10_000

async function refusal(url: string): Promise<{ readonly error: Error; readonly ms: number }> {
  const began = performance.now()
  try {
    const store = await openEventStore(url)
    await store.close()
  } catch (error) {
    if (error instanceof Error) return { error, ms: performance.now() - began }
  }
  throw new Error('It was opened.')
}

/** All that a logger would write of an error. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error) ?? ''
  return [error.message, error.stack, JSON.stringify({ ...error, cause: undefined }), told(error.cause)].join('\n')
}

async function expectRefused(url: string, kind: new (...all: never[]) => Error, message: RegExp): Promise<void> {
  const { error, ms } = await refusal(url)
  expect(error).toBeInstanceOf(kind)
  expect(error.message).toMatch(message)
  expect(told(error)).not.toContain('hush')
  expect(ms).toBeLessThan(LIMIT_MS)
}

async function fakeWith(faults: Partial<Faults>): Promise<FakeEventStore> {
  const fake = await FakeEventStore.start()
  Object.assign(fake.faults, faults)
  return fake
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const ID = '0123abcd-0000-4000-8000-000000000000'

describe('URLs', () => {
  it.each([
    ['esdb://', /a URL like esdb/],
    ['esdb:me:hush@localhost', /a URL like esdb/],
    ['esdb://me:hush@', /a URL like esdb/],
    ['kurrentdb://me:hush@localhost', /a URL like esdb/],
    ['esdb://hush@localhost', /user:password@ with both percent-encoded/],
    ['esdb://me:hush:hush@localhost', /user:password@ with both percent-encoded/],
    ['esdb://me:hush%ff@localhost', /user:password@ with both percent-encoded/],
    ['esdb://localhost:0', /hosts like name:2113/],
    ['esdb://localhost:70000', /hosts like name:2113/],
    ['esdb://localhost,', /hosts like name:2113/],
    ['esdb://localhost:port', /hosts like name:2113/],
    ['esdb+discover://a,b', /one DNS name/],
    ['esdb://me:hush@localhost?colour=red', /unknown key `colour`/],
    ['esdb://localhost?tls=perhaps', /true or false, got "perhaps"/],
    ['esdb://localhost?tlsVerifyCert=false', /always verifies/],
    ['esdb://localhost?keepAliveInterval=5', /whole number from 10000/],
    ['esdb://localhost?gossipTimeout=soon', /whole number from 1/],
    ['esdb://localhost?prefix=', /1 to 64 letters/],
    ['esdb://localhost?prefix=a.b', /1 to 64 letters/],
    ['esdb://localhost?prefix=$all', /1 to 64 letters/],
    ['esdb://localhost?tlsCAFile=/nowhere/ca.crt', /a file that is there/],
    ['esdb://localhost?userKeyFile=/nowhere/key', /a file that is there/],
  ])('%s is a wrong option', (url, message) => expectRefused(url, InvalidOption, message))

  it('name the file of the views, or have one of their own', () => {
    expect(viewsOf('esdb://localhost', ID)).toBe('./jobledger-esdb-views-0123abcd.db')
    expect(viewsOf('esdb://localhost?tls=false&prefix=orders', ID)).toBe('./orders-esdb-views-0123abcd.db')
    expect(viewsOf('esdb://localhost?VIEWS=%2Fvar%2Fviews.db', ID)).toBe('/var/views.db')
  })

  it('may be what openLedger is given, of any store', async () => {
    await expect(openLedger({ url: 'esdb://me:hush@localhost?prefix=-' })).rejects.toThrow(InvalidOption)
    await expect(openLedger({ url: 'esdb+srv://localhost' })).rejects.toThrow(/"esdb:/)
  })
})

describe.concurrent('servers', () => {
  it.each(['esdb', 'esdb+discover'])('%s://: that are not there', (scheme) =>
    expectRefused(
      `${scheme}://127.0.0.1:1?tls=false`,
      StoreUnavailable,
      /^esdb.*127\.0\.0\.1:1: (nobody listens|no node)/,
    ),
  )

  it('of several that are not there', () =>
    expectRefused('esdb://127.0.0.1:1,127.0.0.1:2?tls=false', StoreUnavailable, /no node of the cluster can be found/))

  it('whose name nobody knows', () =>
    expectRefused('esdb://nowhere.invalid?tls=false', StoreUnavailable, /there is no such host/))

  it.each(['esdb', 'esdb+discover'])('%s://: that are silent', async (scheme) => {
    const sockets = new Set<Socket>()
    const silent = createServer((socket) => void sockets.add(socket))
    const port = await listening(silent)
    await expectRefused(`${scheme}://127.0.0.1:${port}?tls=false`, StoreUnavailable, /does not answer|no node/)
    await expectRefused(`${scheme}://127.0.0.1:${port}`, StoreUnavailable, /does not answer|no node/)
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  it('that speak something else', async () => {
    const other = createHttpServer((_, response) => response.end('hello'))
    const port = await listening(other)
    await expectRefused(`esdb://127.0.0.1:${port}?tls=false`, StoreUnavailable, /the connection failed/)
    other.close()
  })

  it('without TLS, asked with it', async () => {
    const fake = await FakeEventStore.start()
    const url = `esdb://me:hush@127.0.0.1:${fake.wire.port}`
    await expectRefused(url, StoreUnavailable, /does not speak TLS; say tls=false/)
    await fake.stop()
  })

  it.each([
    ['22.10.5.0', /expected EventStoreDB 23\.10 or newer, found 22\.10\.5\.0/],
    ['5.0.11', /found 5\.0\.11/],
    ['', /one that does not say what it is/],
  ])("that are too old: '%s'", async (version, message) => {
    const fake = await fakeWith({ version })
    await expectRefused(fake.url(), StoreUnusable, message)
    await fake.stop()
  })

  it('that are so old that they cannot say it', async () => {
    const fake = await fakeWith({ features: false })
    await expectRefused(fake.url(), StoreUnusable, /no EventStoreDB, or one that is too old/)
    await fake.stop()
  })

  it.each([
    [['$all'], /may not read \$all: it has to be in \$admins/],
    [['job'], /the user lacks a permission/],
  ])('where the user lacks a permission: %s', async (denied, message) => {
    const fake = await fakeWith({ denied })
    await expectRefused(fake.url(), StoreUnavailable, message)
    await fake.stop()
  })

  it('that are not ready', async () => {
    const fake = await fakeWith({ notReady: true })
    await expectRefused(fake.url(), StoreUnavailable, /not ready/i)
    await fake.stop()
  })

  it('with something else where the log is, or a log of a newer version', async () => {
    const fake = await FakeEventStore.start()
    const write = (stream: string, type: string, data: string): unknown =>
      fake.log.append(stream, -1, [
        {
          id: crypto.randomUUID(),
          type,
          contentType: 'application/json',
          data: Buffer.from(data),
          metadata: Buffer.from(''),
        },
      ])
    write('a.jobledger-log', 'Other', '{}')
    write('b.jobledger-log', 'LogCreated', 'no json')
    write('c.jobledger-log', 'LogCreated', '{"logId":"x","format":7}')
    await expectRefused(fake.url('prefix=a'), StoreUnusable, /found another program's/)
    await expectRefused(fake.url('prefix=b'), StoreUnusable, /found another program's/)
    await expectRefused(fake.url('prefix=c'), StoreUnusable, /has format 7, this jobledger knows up to 1/)
    await fake.stop()
  })

  it('that are a cluster are found by their gossip, and found again', async () => {
    const fake = await FakeEventStore.start()
    const place = `localhost:${fake.wire.port}`
    for (const url of [`esdb+discover://${place}?tls=false`, `esdb://${place},127.0.0.1:1?tls=false`]) {
      const store = await openEventStore(url)
      await fake.kill()
      await expect(store.ping()).rejects.toThrow(StoreUnavailable)
      await fake.restart()
      await store.ping()
      await store.close()
    }
    await fake.stop()
  })
})

const missing = missingOpenssl()
// skipped: where no certificate can be made, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'servers with TLS', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let tls: TestCertificate
  let fake: FakeEventStore
  beforeAll(async () => {
    folder = await temporaryFolder()
    tls = makeCertificate(folder.path)
    fake = await FakeEventStore.start({ tls })
    fake.faults.account = { user: 'me', password: 'h@ush:%/' }
  })
  afterAll(async () => {
    await fake.stop()
    await folder.remove()
  })

  const url = (account: string, query: string): string => `esdb://${account}127.0.0.1:${fake.wire.port}?${query}`
  const trusted = (): string => `tlsCAFile=${encodeURIComponent(tls.path)}`

  it('let in who has the right password, percent-encoded', async () => {
    const store = await openEventStore(url('me:h%40ush%3A%25%2F@', trusted()))
    await store.ping()
    await store.close()
  })

  it.each([
    ['a wrong password', 'me:hush@', /refuses this user or password/],
    ['none at all', '', /refuses this user or password/],
  ])('refuse %s', (_, account, message) => expectRefused(url(account, trusted()), StoreUnavailable, message))

  it('are not trusted without their authority', () =>
    expectRefused(url('me:hush@', ''), StoreUnavailable, /is not trusted; name its CA with tlsCAFile/))

  it('are not reached without TLS', () =>
    expectRefused(url('me:hush@', 'tls=false'), StoreUnavailable, /the connection failed/))

  it('need files that are certificates', async () => {
    const [key, certificate] = [join(folder.path, 'server.key'), tls.path].map(encodeURIComponent)
    const swapped = `${trusted()}&userCertFile=${key}&userKeyFile=${certificate}`
    await expectRefused(url('me:hush@', swapped), InvalidOption, /PEM files that fit/)
  })
})
