import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineJob, type SearchPage } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const order = defineJob({ type: 'order', search: ['customer.id'], handle() {} })

let desk: Desk
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    await ledger.register(order)
    for (let n = 0; n < 3; n += 1) await ledger.enqueue(order, { customer: { id: n } }, { id: `o${n}`, queue: 'shop' })
    const { token } = await ledger.leaseById('o1', await ledger.workers.register())
    await ledger.fail(token, new Error('disk \u0007 full'))
    // Paths are known of the types of whoever has brought the tables up.
    await ledger.search()
  })
})
afterAll(() => desk.remove())

describe('search', { timeout: PATIENCE }, () => {
  test('by payload and error, as text and as the document that the library gives', async () => {
    expect((await desk.run(['search', '--payload', 'customer.id=2'])).stdout).toMatch(
      /^ID .*\no2 +waiting +order +shop /,
    )
    const { code, stdout } = await desk.run(['search', '--error', 'full disk', '--queued', '1h'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^o1 .* Error: disk \\u0007 full$/m)
    const page = await desk.json<SearchPage>('search', '--queue', 'shop', '--limit', '2')
    expect(page.jobs.map(({ id }) => id)).toEqual(['o2', 'o1'])
    const next = await desk.run(['search', '--queue', 'shop', '--limit', '2', '--cursor', page.cursor as string])
    expect(next.stdout).toMatch(/^ID .*\no0 /)
    expect(next.stderr).toBe('')
    expect((await desk.run(['search', '--newest', '1'])).stdout).toMatch(/^ID .*\no2 +waiting /)
    expect(await desk.run(['search', '--ended', '..2020-01-01T00:00:00Z'])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'No jobs.\n',
    })
  })

  test.each([
    [
      ['search', '--payload', 'customer.name=x'],
      /Expected `search\.payload\.customer\.name` to be one of customer\.id/,
    ],
    [['search', '--payload', 'customer'], /Expected `--payload` to be <path>=<value>/],
    [['search', '--queued', 'yesterday'], /Expected `--queued` to be a duration/],
    [
      ['search', '--newest', '2', '--type', 'order'],
      /--newest shows each type and state: it does not go with --type\./,
    ],
    [['search', '--error', '***'], /Expected `search\.error` to be a text with 1 to 20 words/],
  ])('%j is refused with 2', async (args, message) => {
    const { code, stdout, stderr } = await desk.run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })
})
