import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineJob } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    await ledger.enqueue(note, null, { queue: 'mail', name: 'say "hi", \u0007' })
    await ledger.enqueue(note, null)
  })
})
afterAll(() => desk.remove())

describe('query', { timeout: PATIENCE }, () => {
  test('answers with a table, a document or comma-separated values', async () => {
    const sql = 'SELECT queue, name, priority AS p FROM jobs WHERE type = $1 AND priority = $2 ORDER BY seq'
    const { code, stdout } = await desk.run(['query', sql, 'note', '0'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^queue +name +p\nmail +say "hi", \\u0007 +0\ndefault +0\n$/)
    expect(await desk.json('query', sql, 'note', '0')).toEqual({
      rows: [
        { queue: 'mail', name: 'say "hi", \u0007', p: 0 },
        { queue: 'default', name: null, p: 0 },
      ],
    })
    const asCsv = await desk.run(['query', '--csv', '--limit', '1', sql, 'note', '0'])
    expect(asCsv.stdout).toBe('queue,name,p\r\nmail,"say ""hi"", \u0007",0\n')
    expect(asCsv.stderr).toContain('--limit')
  })

  test('refuses what does not only read, or makes no sense', async () => {
    for (const sql of ['DELETE FROM jobs', 'SELECT nothing FROM jobs']) {
      expect(await desk.run(['query', sql])).toMatchObject({ code: 2, stdout: '' })
    }
    expect(await desk.run(['query', '--csv', '--json', 'SELECT 1'])).toMatchObject({ code: 2 })
  })
})
