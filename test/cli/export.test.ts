import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineJob } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeEach(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    for (const id of ['a', 'b']) await ledger.enqueue(note, { id }, { id })
    await ledger.cancel('a')
  })
})
afterEach(() => desk.remove())

describe('export and import', { timeout: PATIENCE }, () => {
  test('carry a ledger over in a file', async () => {
    expect(await desk.json('export', '--to', 'all.ndjson.gz')).toMatchObject({ events: 3, streams: 2 })
    const imported = await desk.json('import', 'all.ndjson.gz', '--ledger', 'again.db')
    expect(imported).toMatchObject({ events: 3, written: 3, streams: 2 })
    const histories = ['jobledger.db', 'again.db'].map((ledger) =>
      desk.run(['history', 'a', '--json', '--ledger', ledger]),
    )
    const [before, after] = await Promise.all(histories)
    expect(after?.stdout).toBe(before?.stdout)
  })

  test('refuse what is there already, what is no file, and a part of a log', async () => {
    await desk.json('export', '--to', 'part.ndjson', '--job', 'a')
    const codes = [
      ['export', '--to', 'part.ndjson'],
      ['export', '--to', 'x.ndjson', '--from', 'yesterday'],
      ['export', '--to', 'y.ndjson', '--job', 'nobody'],
      ['import', 'none.ndjson', '--ledger', 'again.db'],
      ['import', 'part.ndjson', '--ledger', 'again.db'],
    ].map(async (argv) => (await desk.run(argv)).code)
    expect(await Promise.all(codes)).toEqual([4, 2, 3, 2, 5])
    expect(desk.has('y.ndjson')).toBe(false)
  })
})
