/** The tables for SQL as a ledger fills them: see also the suite of the port in test/conformance. */
import { copyFileSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, describe, expect, test } from 'vitest'
import { defineJob, type Ledger, openLedger, QueryInvalid, QueryWrites } from '../../index.js'
import { temporaryFolder } from '../adapters/temporary-folder.js'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Order {
  readonly customer: { readonly id: string | number }
  readonly fail?: string
}

const order = defineJob<Order, number>({
  type: 'order',
  search: ['customer.id', 'no.such.path'],
  maxAttempts: 2,
  backoff: { min: 1, max: 1 },
  handle: ({ fail }) => {
    if (fail !== undefined) throw new TypeError(fail)
    return 1
  },
})

async function open(url = 'memory:'): Promise<Ledger> {
  const ledger = await openLedger({ url, jobs: [order], autoStart: true })
  cleanups.push(() => ledger.close())
  return ledger
}

async function folder(): Promise<string> {
  const { path, remove } = await temporaryFolder()
  cleanups.push(remove)
  return path
}

/** Runs it to its end; answers with its id. */
async function run(ledger: Ledger, payload: Order): Promise<string> {
  const { id, result } = await ledger.enqueue(order, payload)
  await result().catch(() => {})
  return id
}

const count = async (ledger: Ledger, table: string): Promise<unknown> =>
  (await ledger.query(`SELECT count(*) AS n FROM ${table}`))[0]?.n

describe('what is in the tables', () => {
  test('a job that failed, its attempts, its minute, its worker, the values at its paths', async () => {
    const ledger = await open()
    const id = await run(ledger, { customer: { id: 7 }, fail: 'the disk burns' })
    const [job] = await ledger.query('SELECT * FROM jobs')
    expect(job).toMatchObject({ id, type: 'order', queue: 'default', channel: '', state: 'failed', error: 'TypeError' })
    expect(job).toMatchObject({ error_message: 'the disk burns', run: 2, attempt: 2, max_attempts: 2, archived: null })
    const attempts = await ledger.query(
      'SELECT run, round, outcome, error_message, retry_at FROM attempts ORDER BY run',
    )
    expect(attempts).toEqual([
      { run: 1, round: 1, outcome: 'failed', error_message: 'the disk burns', retry_at: expect.any(Number) },
      { run: 2, round: 1, outcome: 'failed', error_message: 'the disk burns', retry_at: null },
    ])
    const minutes = await ledger.query(
      'SELECT sum(queued) AS q, sum(started) AS s, sum(failed) AS f, sum(retried) AS r FROM queue_minutes',
    )
    expect(minutes).toEqual([{ q: 1, s: 2, f: 1, r: 1 }])
    expect(await ledger.query('SELECT state, runs FROM workers')).toEqual([{ state: 'active', runs: 2 }])
    expect(await ledger.query('SELECT path, value FROM payload_paths WHERE job_id = $1', [id])).toEqual([
      { path: 'customer.id', value: '7' },
    ])
    const found = 'SELECT j.id FROM error_texts e JOIN jobs j ON j.seq = e.rowid WHERE error_texts MATCH $1'
    expect(await ledger.query(found, ['burns'])).toEqual([{ id }])
    expect(await ledger.query(found, ['floods'])).toEqual([])
  })

  test('a job that is sent round again keeps its old attempts and begins a round', async () => {
    const ledger = await open()
    const id = await run(ledger, { customer: { id: 'a' }, fail: 'no' })
    await ledger.query('SELECT 1')
    await ledger.retry(id)
    await ledger.result(id).catch(() => {})
    const rounds = await ledger.query('SELECT run, round, attempt FROM attempts ORDER BY run')
    expect(rounds).toEqual([
      { run: 1, round: 1, attempt: 1 },
      { run: 2, round: 1, attempt: 2 },
      { run: 3, round: 2, attempt: 1 },
      { run: 4, round: 2, attempt: 2 },
    ])
  })

  test('a trigger, with how late it fired', async () => {
    const ledger = await open()
    const payload = { customer: { id: 1 } }
    await ledger.triggers.add({ id: 'once', kind: 'in', when: 1, job: order, payload })
    const fired = new Promise<void>((resolve) => {
      const seen = ledger.events$.subscribe(({ type }) => {
        if (type !== 'Finished') return
        seen.unsubscribe()
        resolve()
      })
    })
    await fired
    const [trigger] = await ledger.query('SELECT * FROM triggers')
    expect(trigger).toMatchObject({ id: 'once', kind: 'in', type: 'order', fired: 1, missed: 0, state: 'removed' })
    expect(Number(trigger?.last_late_ms)).toBeGreaterThanOrEqual(0)
    expect(await ledger.query('SELECT "trigger" FROM jobs')).toEqual([{ trigger: 'once' }])
  })
})

describe('what is erased leaves the tables', () => {
  const bytesIn = (path: string): string =>
    readdirSync(path)
      .filter((file) => file.includes('-reports'))
      .map((file) => readFileSync(join(path, file), 'latin1'))
      .join('')

  test.each(['expunge', 'remove'] as const)('%s leaves no bytes of the message and of the payload', async (verb) => {
    const path = await folder()
    const ledger = await open(`sqlite:${join(path, 'jobs.db')}`)
    const id = await run(ledger, { customer: { id: 'zebrasecret' }, fail: 'quaggasecret' })
    const other = await run(ledger, { customer: { id: 'kept' }, fail: 'okapi' })
    expect(await count(ledger, 'payload_paths')).toBe(2)
    const bytes = (): string => bytesIn(path)
    expect(bytes()).toContain('quaggasecret')
    await ledger[verb](id)
    expect(await ledger.query('SELECT job_id FROM payload_paths')).toEqual([{ job_id: other }])
    const matching = "SELECT rowid FROM error_texts WHERE error_texts MATCH 'quaggasecret'"
    expect(await ledger.query(matching)).toEqual([])
    expect(bytes()).not.toMatch(/quagga|zebrasecret/)
    expect(await count(ledger, 'jobs')).toBe(verb === 'expunge' ? 2 : 1)
    expect(await ledger.query('SELECT sum(queued) AS n FROM queue_minutes')).toEqual([{ n: 2 }])
  })
})

test('what is erased while somebody reads for long leaves the files with what is saved after that', async () => {
  const path = await folder()
  const ledger = await open(`sqlite:${join(path, 'jobs.db')}`)
  const wal = (): string => readFileSync(join(path, 'jobs.db-reports-wal'), 'latin1')
  const id = await run(ledger, { customer: { id: 1 }, fail: 'quaggasecret' })
  expect(await count(ledger, 'jobs')).toBe(1)
  const reader = new Database(join(path, 'jobs.db-reports'), { readonly: true })
  reader.exec('BEGIN')
  reader.prepare('SELECT * FROM jobs').all()
  await ledger.expunge(id)
  expect(await count(ledger, 'jobs')).toBe(1)
  expect(wal()).toContain('quaggasecret')
  reader.close()
  await run(ledger, { customer: { id: 2 } })
  expect(await count(ledger, 'jobs')).toBe(2)
  expect(wal()).not.toContain('quaggasecret')
})

describe('what is kept', () => {
  test('two ledgers on one file bring each event in once', async () => {
    const url = `sqlite:${join(await folder(), 'jobs.db')}`
    const ledgers = [await open(url), await open(url)]
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(ledgers.map((ledger) => run(ledger, { customer: { id: round } })))
      await Promise.all(ledgers.map((ledger) => count(ledger, 'jobs')))
    }
    for (const ledger of ledgers) {
      expect(await count(ledger, 'jobs')).toBe(10)
      const sums = 'SELECT sum(queued) AS q, sum(started) AS s, sum(succeeded) AS e FROM queue_minutes'
      expect(await ledger.query(sums)).toEqual([{ q: 10, s: 10, e: 10 }])
    }
  })

  test('a file that is deleted is made anew; one of a later day than the log, too', async () => {
    const path = join(await folder(), 'jobs.db')
    const before = await open(`sqlite:${path}`)
    await run(before, { customer: { id: 1 } })
    await before.close()
    copyFileSync(path, `${path}-backup`)
    const ledger = await open(`sqlite:${path}`)
    await run(ledger, { customer: { id: 2 } })
    expect(await count(ledger, 'jobs')).toBe(2)
    rmSync(`${path}-reports`)
    expect(await count(ledger, 'jobs')).toBe(2)
    await ledger.close()
    for (const file of [path, `${path}-wal`, `${path}-shm`, `${path}-views`]) rmSync(file, { force: true })
    copyFileSync(`${path}-backup`, path)
    const restored = await open(`sqlite:${path}`)
    await run(restored, { customer: { id: 3 } })
    await run(restored, { customer: { id: 4 } })
    expect(await restored.query('SELECT value FROM payload_paths ORDER BY seq')).toEqual(
      ['1', '3', '4'].map((value) => ({ value })),
    )
  })

  test('a checkpoint whose event left the log with its job still stands, and so do the minutes', async () => {
    const path = join(await folder(), 'jobs.db')
    const ledger = await open(`sqlite:${path}`)
    const id = await run(ledger, { customer: { id: 1 } })
    expect(await count(ledger, 'jobs')).toBe(1)
    await ledger.close()
    const again = await openLedger({ url: `sqlite:${path}` })
    cleanups.push(() => again.close())
    await again.remove(id)
    expect(await again.query('SELECT sum(queued) AS q, sum(succeeded) AS s FROM queue_minutes')).toEqual([
      { q: 1, s: 1 },
    ])
    expect(await count(again, 'jobs')).toBe(0)
  })

  test('paths that another process has declared hold for one that does not know the type', async () => {
    const path = join(await folder(), 'jobs.db')
    const ledger = await open(`sqlite:${path}`)
    expect(await count(ledger, 'jobs')).toBe(0)
    await run(ledger, { customer: { id: 1 } })
    expect(await count(ledger, 'jobs')).toBe(1)
    await run(ledger, { customer: { id: 2 } })
    await ledger.close()
    const stranger = await openLedger({ url: `sqlite:${path}` })
    cleanups.push(() => stranger.close())
    expect(await stranger.query('SELECT value FROM payload_paths ORDER BY seq')).toEqual([
      { value: '1' },
      { value: '2' },
    ])
  })
})

test('kept up all the time, whoever follows the log, they are the same', async () => {
  const url = `sqlite:${join(await folder(), 'jobs.db')}`
  const ledger = await openLedger({ url, jobs: [order], autoStart: true, reports: true })
  cleanups.push(() => ledger.close())
  for (let round = 0; round < 3; round += 1) {
    await Promise.all([1, 2, 3].map((id) => run(ledger, { customer: { id } })))
    expect(await ledger.query('SELECT state, count(*) AS n FROM jobs GROUP BY state')).toEqual([
      { state: 'succeeded', n: 3 * (round + 1) },
    ])
  }
  expect(await ledger.query('SELECT sum(queued) AS q, sum(succeeded) AS s FROM queue_minutes')).toEqual([
    { q: 9, s: 9 },
  ])
})

describe('queries', () => {
  test.each([
    ['DELETE FROM jobs', QueryWrites],
    ["INSERT INTO folds VALUES ('a', 'b') RETURNING stream", QueryWrites],
    ["ATTACH DATABASE 'other.db' AS other", QueryWrites],
    ['/* a comment */ PRAGMA journal_mode = DELETE', QueryWrites],
    ['BEGIN', QueryWrites],
    ['SELECT 1; DELETE FROM jobs', QueryInvalid],
    ['SELECT nothing FROM jobs', QueryInvalid],
    ['SELECT', QueryInvalid],
    ['', QueryInvalid],
    ['SELECT $1, $2', QueryInvalid],
  ])('refuses %s', async (sql, error) => {
    const ledger = await open()
    await expect(ledger.query(sql, sql.includes('$') ? [1] : [])).rejects.toThrow(error)
    expect(await count(ledger, 'jobs')).toBe(0)
  })

  test('refuses what is no parameter, and takes limits and signals', async () => {
    const ledger = await open()
    await expect(ledger.query('SELECT $1', [{} as never])).rejects.toThrow('query.params[0]')
    await expect(ledger.query('SELECT 1', [], { limit: 0 })).rejects.toThrow('query.limit')
    await expect(ledger.query('SELECT 1', [], { nix: 0 } as never)).rejects.toThrow('query.nix')
    expect(await ledger.query('WITH t(n) AS (VALUES (1), (2), (3)) SELECT n FROM t', [], { limit: 2 })).toHaveLength(2)
    expect(await ledger.query('SELECT $1 AS a, $2 AS b', [true, 'x'])).toEqual([{ a: 1, b: 'x' }])
    const gone = AbortSignal.abort(new Error('gone'))
    await expect(ledger.query('SELECT 1', [], { signal: gone })).rejects.toThrow('gone')
  })

  test('one that never ends is stopped by its signal, and holds nobody up until then', async () => {
    const ledger = await open(`sqlite:${join(await folder(), 'jobs.db')}`)
    const controller = new AbortController()
    const enough = new Error('enough')
    let turns = 0
    const beats = setInterval(() => {
      turns += 1
      if (turns === 50) controller.abort(enough)
    }, 1)
    const endless = 'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c'
    const asked = ledger.query(endless, [], { signal: controller.signal })
    const [outcome] = await Promise.allSettled([asked, run(ledger, { customer: { id: 1 } })])
    clearInterval(beats)
    expect(outcome).toEqual({ status: 'rejected', reason: enough })
    expect(await count(ledger, 'jobs')).toBe(1)
    const [kpis, page] = [await ledger.reports.kpis(), await ledger.search({ type: 'order' })]
    expect([kpis.processed, page.jobs.length]).toEqual([1, 1])
  })

  test.each([[['a..b']], [['']], [['a', 'a']], ['a'], [[1]]])(
    'defineJob refuses %j as paths to search by',
    (search) => {
      expect(() => defineJob({ type: 't', search: search as never })).toThrow('defineJob.search')
    },
  )
})
