import { once } from 'node:events'
import { statSync, watch } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { defineJob, openLedger } from '../../index.js'
import type { Copied } from '../../runtime/copy/copy.js'
import { appendOk, body, event } from '../conformance/event-store/harness.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import { CONFIG_JS, Desk, PATIENCE } from './desk.js'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.remove())

const add = defineJob({ type: 'add', handle: ({ a, b }: { a: number; b: number }) => a + b })

async function seed(): Promise<void> {
  await desk.with(async (ledger) => {
    for (const id of ['one', 'two', 'gone']) await ledger.enqueue(add, { a: 1, b: 2 }, { id })
    await ledger.remove('gone')
  })
}

const copying = (...more: string[]): string[] => ['copy', '--from', 'jobledger.db', '--to', 'other.db', ...more]

/** So many events, each of 50 kB, that a copy takes its time. */
async function seedLarge(count: number): Promise<void> {
  const store = await openSqliteStore(desk.path('jobledger.db'), { durability: 'normal' })
  for (let revision = 0; revision < count; revision += 1) {
    const expected = { 'note-1': revision === 0 ? ('none' as const) : revision - 1 }
    await appendOk(store, expected, event('note-1', { body: body('x'.repeat(50_000)) }))
  }
  await store.close()
}

/** More than the first page of it, less than all. */
const SOME = 12_000_000

const sizeOf = (name: string): number => statSync(desk.path(name), { throwIfNoEntry: false })?.size ?? 0

describe('copy', { timeout: PATIENCE }, () => {
  test('brings a ledger into another file, where its jobs run', async () => {
    await seed()
    const copied = await desk.json<Copied & { from: string; to: string }>(...copying())
    expect(copied).toMatchObject({ from: 'sqlite:jobledger.db', to: 'sqlite:other.db', grew: 0, burnt: 1 })
    expect(copied.written).toBe(copied.events)
    expect(copied.kinds).toMatchObject({ job: 2, audit: 1 })
    desk.write('jobs.mjs', CONFIG_JS)
    const worker = desk.start(['work', '--ledger', 'other.db', '--config', 'jobs.mjs', '--until-empty'])
    expect((await worker.ended).code).toBe(0)
    const ran = await desk.json<{ state: string }>('status', 'one', '--ledger', 'other.db')
    expect(ran).toMatchObject({ state: 'succeeded' })
  })

  test('in words, and again without anything to do', async () => {
    await seed()
    const first = await desk.run(copying())
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(/^copied +\d+ events\nverified +\d+ events in 3 streams read back alike\n/)
    expect(first.stdout).toContain('1 id of removed jobs cannot be used again')
    const again = await desk.run(copying())
    expect(again.stdout).toMatch(/^copied +0 events, on top of \d+ that were there\n/)
  })

  test('goes on after kill -9', async () => {
    await seedLarge(1_500)
    const killed = desk.start(copying())
    const grows = watch(desk.folder)
    while (sizeOf('other.db-wal') < SOME) await once(grows, 'change')
    grows.close()
    await killed.kill()
    const copied = await desk.json<Copied>(...copying())
    expect(copied.events).toBe(1_500)
    expect(copied.written).toBeGreaterThan(0)
    expect(copied.written).toBeLessThan(1_500)
  })

  test('ends with SIGINT and says how to go on', async () => {
    await seedLarge(1_500)
    const stopped = desk.start(copying())
    const grows = watch(desk.folder)
    while (sizeOf('other.db-wal') < SOME) await once(grows, 'change')
    grows.close()
    stopped.signal('SIGINT')
    const { code, stderr } = await stopped.ended
    expect({ code, stderr }).toEqual({
      code: 130,
      stderr: 'error: SIGINT: run the same copy again, it goes on where it is.\n',
    })
  })

  test('tells a source that is used meanwhile', async () => {
    await seedLarge(1_500)
    const running = desk.start(copying())
    const grows = watch(desk.folder)
    while (sizeOf('other.db-wal') < SOME) await once(grows, 'change')
    grows.close()
    await desk.enqueue('add', null, { id: 'late' })
    const { code, stdout, stderr } = await running.ended
    expect(code).toBe(4)
    expect(stdout).toContain('1500 events')
    expect(stderr).toBe(
      'error: The source has grown by 1 event meanwhile: stop whoever uses it and run the same copy again.\n',
    )
    expect(await desk.json<Copied>(...copying())).toMatchObject({ written: 1, events: 1_501, grew: 0 })
  })

  test.each<[string, string[], number, string]>([
    ['without a source', copying(), 3, 'There is no ledger at jobledger.db'],
    ['onto itself', ['copy', '--from', 'a.db', '--to', 'sqlite:a.db'], 2, 'got one twice'],
    ['without a target', ['copy', '--from', 'a.db'], 2, "required option '--to <url>' not specified"],
    ['to memory', ['copy', '--from', 'a.db', '--to', 'memory:'], 2, 'ends with its process'],
  ])('is refused %s', async (_, args, code, message) => {
    const ran = await desk.run(args)
    expect(ran.code).toBe(code)
    expect(ran.stderr).toContain(message)
    expect(desk.has('other.db')).toBe(false)
  })

  test('over another ledger is refused', async () => {
    await seed()
    const other = await openLedger({ url: `sqlite:${desk.path('other.db')}` })
    await other.enqueue(add, { a: 1, b: 1 })
    await other.close()
    const { code, stderr } = await desk.run(copying('--json'))
    expect({ code, error: JSON.parse(stderr).error.code }).toEqual({ code: 4, error: 'COPY_TARGET_DIFFERS' })
  })

  const missing = missingPostgres()
  // skipped: where there is no server, with the reason as title
  test.skipIf(missing !== undefined)(missing ?? 'to PostgreSQL and back, without a word of the password', async () => {
    await seed()
    const schema = await freshSchema()
    const url = new URL(schema.url)
    url.password = 'hush'
    const there = await desk.run(['copy', '--from', 'jobledger.db', '--to', url.href, '--json'])
    const back = await desk.run(['copy', '--from', url.href, '--to', 'back.db', '--json'])
    await schema.drop()
    expect(there).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(back.stdout).hash).toBe(JSON.parse(there.stdout).hash)
    expect(there.stdout + back.stdout).not.toContain('hush')
  })
})
