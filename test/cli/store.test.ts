import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineJob } from '../../index.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import { Desk, PATIENCE } from './desk.js'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.remove())

const note = defineJob({ type: 'note', handle() {} })

describe('backup', { timeout: PATIENCE }, () => {
  test('of a ledger in use opens as a ledger', async () => {
    await desk.with(async (ledger) => {
      await ledger.enqueue(note, 1, { id: 'one' })
      const made = await desk.json<object>('backup', '--to', 'copy.db')
      expect(made).toMatchObject({ ledger: 'sqlite:./jobledger.db', file: desk.path('copy.db'), events: 1 })
    })
    expect(await desk.json('status', 'one', '--ledger', 'copy.db')).toMatchObject({ state: 'ready' })
    const again = await desk.run(['backup', '--to', 'copy.db'])
    expect(again).toMatchObject({ code: 4, stdout: '' })
    expect(again.stderr).toMatch(/copy\.db is there already\.\n$/)
    const forced = await desk.run(['backup', '--to', 'copy.db', '--force'])
    expect(forced).toMatchObject({ code: 0, stderr: '' })
    expect(forced.stdout).toMatch(/copy\.db: 1 event, .* KiB, opened and checked\n$/)
  })

  test('of no ledger is refused', async () => {
    expect(await desk.run(['backup', '--to', 'copy.db'])).toMatchObject({ code: 3 })
    expect(desk.has('copy.db')).toBe(false)
  })
})

describe('migrate', { timeout: PATIENCE }, () => {
  test('makes a ledger, and then nothing', async () => {
    expect(await desk.json('migrate')).toMatchObject({ ledger: 'sqlite:./jobledger.db', made: true, version: 1 })
    const { stdout } = await desk.run(['migrate'])
    expect(stdout).toMatch(/^sqlite:\.\/jobledger\.db: up to date, schema version 1, views version \d+\n$/)
  })

  test('of a URL that nobody knows is refused, without its password', async () => {
    const { code, stderr } = await desk.run(['migrate', '--ledger', 'mysql://ann:hush@db/shop'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/Expected `url` to be "memory:", "sqlite:/)
    expect(stderr).not.toContain('hush')
  })

  const missing = missingPostgres()
  // skipped: where there is no server, with the reason as title
  test.skipIf(missing !== undefined)(
    missing ?? 'and backup and doctor on PostgreSQL, without the password',
    async () => {
      const schema = await freshSchema()
      const url = new URL(schema.url)
      url.password = 'hush'
      const at = ['--ledger', url.href]
      const migrated = await desk.run(['migrate', '--json', ...at])
      const doctor = await desk.run(['doctor', '--json', ...at])
      const backup = await desk.run(['backup', '--to', 'x', ...at])
      await schema.drop()
      expect(JSON.parse(migrated.stdout)).toMatchObject({ made: true, version: 1 })
      expect(doctor.code).toBe(0)
      const checks = (JSON.parse(doctor.stdout) as { checks: { name: string }[] }).checks.map(({ name }) => name)
      expect(checks).toEqual(expect.arrayContaining(['ping', 'store', 'permissions', 'pooler', 'histories']))
      expect(backup).toMatchObject({ code: 1, stdout: '' })
      expect(backup.stderr).toContain('pg_dump --format=custom')
      for (const { stdout, stderr } of [migrated, doctor, backup]) expect(stdout + stderr).not.toContain('hush')
    },
  )
})
