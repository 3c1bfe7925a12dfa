import { writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { defineJob } from '../../index.js'
import { CONFIG_JS, Desk, PATIENCE } from './desk.js'

interface Report {
  readonly verdict: string
  readonly checks: readonly { readonly name: string; readonly status: string; readonly message: string }[]
}

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.remove())

async function seed(count: number): Promise<void> {
  await desk.with((ledger) =>
    ledger.enqueueMany(
      Array.from({ length: count }, (_, n) => ({ job: note, payload: { n }, options: { id: `j${n}` } })),
    ),
  )
}

async function examine(...flags: string[]): Promise<Report & { readonly code: number | null }> {
  const { code, stdout, stderr } = await desk.run(['doctor', '--json', ...flags])
  if (stdout === '') throw new Error(`no report, but ${code}: ${stderr}`)
  return { code, ...(JSON.parse(stdout) as Report) }
}

function found({ checks }: Report, name: string): string {
  const check = checks.find((one) => one.name === name)
  return check === undefined ? `no check ${name}` : `${check.status}: ${check.message}`
}

describe('doctor', { timeout: PATIENCE }, () => {
  test('finds nothing wrong with a sound ledger', async () => {
    await seed(3)
    const report = await examine()
    expect(report).toMatchObject({ code: 0, verdict: 'ok' })
    expect(found(report, 'histories')).toBe('ok: 3 jobs with 3 events read: each follows the lifecycle')
    expect(found(report, 'log')).toMatch(/^ok: .* KiB, .* Nothing is removed by default$/)
  })

  test('as a table', async () => {
    await seed(1)
    const { code, stdout, stderr } = await desk.run(['doctor', '--quick', '--strict'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^STATUS +CHECK +FOUND\nok +open +sqlite:/)
    expect(stdout).not.toMatch(/histories/)
  })

  test('warns of dead letters and dead workers, and fails only if asked to', async () => {
    desk.write('jobs.mjs', CONFIG_JS)
    await desk.enqueue('fail', null, { id: 'bad', maxAttempts: 1 })
    await desk.enqueue('deaf', null, { id: 'x' })
    const worker = desk.start(['work', '-c', 'jobs.mjs', '--concurrency', '1'])
    await worker.said('deaf begins')
    await worker.kill()
    const report = await examine()
    expect(report).toMatchObject({ code: 0, verdict: 'warning' })
    expect(found(report, 'dead letters')).toMatch(/^warning: 1 job failed for good \(1 in default\)/)
    expect(found(report, 'workers')).toBe('warning: 1 worker found dead, 1 lease taken back just now')
    expect(await examine('--strict')).toMatchObject({ code: 1, verdict: 'warning' })
  })

  test('finds nothing wrong where jobs were removed', async () => {
    await seed(4)
    await desk.with(async (ledger) => {
      await ledger.failUnstarted('j0')
      await ledger.failUnstarted('j1')
      await ledger.cancel('j2')
      await ledger.remove('j2')
      await ledger.remove('j3')
      await ledger.deadLetters.clean(['j0'])
    })
    const report = await examine()
    expect(report).toMatchObject({ code: 0, verdict: 'warning' })
    expect(found(report, 'histories')).toMatch(/^ok: 1 job with 3 events read: /)
    expect(found(report, 'views')).toBe('ok: they say what the log says; 3 jobs of those counted were removed')
    const message = '1 job failed for good (1 in default). See: jobledger dead list'
    expect(found(report, 'dead letters')).toBe(`warning: ${message}`)
    await desk.with((ledger) => ledger.deadLetters.clean())
    expect(found(await examine('--strict'), 'dead letters')).toBe('ok: no job has failed for good')
  })

  test('finds an event that breaks the lifecycle', async () => {
    await seed(2)
    const store = await openSqliteStore(desk.path('jobledger.db'))
    const event = { stream: 'job-j1', id: crypto.randomUUID(), type: 'Released', at: Date.now(), data: { token: 't' } }
    await store.append([{ expect: new Map([['job-j1', 0]]), events: [event] }])
    await store.close()
    const report = await examine()
    expect(report).toMatchObject({ code: 5, verdict: 'problem' })
    expect(found(report, 'histories')).toMatch(
      /^problem: 2 jobs .* read: 1 cannot be read or .*: Released cannot follow in stream job-j1/,
    )
    expect(found(report, 'feed')).toMatch(/^problem: 1 event/)
    expect(await desk.run(['status', 'j1'])).toMatchObject({ code: 5 })
  })

  test('finds views that say something else than the log', async () => {
    await seed(3)
    await desk.with((ledger) => ledger.cancel('j0'))
    const views = new Database(desk.path('jobledger.db-views'))
    views.exec("UPDATE jobs SET state = replace(state, 'cancelled', 'succeeded') WHERE id = 'j0'")
    views.close()
    const report = await examine()
    expect(report).toMatchObject({ code: 5, verdict: 'problem' })
    expect(found(report, 'views')).toMatch(/^problem: wrong about 1 job, first: j0\. .* delete /)
  })

  test('finds a damaged file', async () => {
    await seed(2_000)
    const bytes = desk.read('jobledger.db')
    writeFileSync(desk.path('jobledger.db'), bytes.fill(0xa5, bytes.length / 4, bytes.length / 2))
    const report = await examine()
    expect(report).toMatchObject({ code: 5, verdict: 'problem' })
  })

  test.each([
    ['no database', 'once upon a time, '.repeat(1_000)],
    ['a header without a body', 'SQLite format 3\0'],
  ])('finds %s', async (_, text) => {
    desk.write('jobledger.db', text)
    const report = await examine()
    expect(report).toMatchObject({ code: 5, verdict: 'problem' })
    expect(found(report, 'open')).toMatch(/^problem: .*jobledger\.db: expected a jobledger log/)
  })
})
