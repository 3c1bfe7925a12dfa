import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { csv } from '../../adapters/cli/csv.js'
import { defineJob, type Kpis, type Throughput } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    await ledger.enqueue(note, null, { id: 'a\u0007', held: true, queue: 'mail' })
    await ledger.enqueue(note, null, { id: 'b' })
    await ledger.cancel('b')
  })
})
afterAll(() => desk.remove())

describe('report', { timeout: PATIENCE }, () => {
  test('how things stand, as text and as the document that the library gives', async () => {
    const { code, stdout } = await desk.run(['report'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^KPI +VALUE\npending +1\npending of note +1\nrunning +0$/m)
    expect(await desk.json<Kpis>('report', 'kpis', '--queue', 'mail')).toEqual(
      await desk.with((ledger) => ledger.reports.kpis({ queue: 'mail' })),
    )
  })

  test('of a while, and as values with commas', async () => {
    const { total, stepMs } = await desk.json<Throughput>('report', 'throughput', '--last', '10m', '--step', '5m')
    expect({ total, stepMs }).toMatchObject({ total: { queued: 2, cancelled: 1 }, stepMs: 300_000 })
    const { stdout } = await desk.run(['report', 'oldest', '--csv'])
    const [heading, line] = stdout.split('\r\n')
    expect(heading).toBe('id,state,type,queue,channel,queued,age,runs_at')
    expect(line?.replaceAll(/\d{2,}/g, 'N')).toMatch('a\u0007,held,note,mail,,N,N,')
    expect((await desk.run(['report', 'oldest'])).stdout).toMatch(/^a\\u0007 +held +note +mail +"" /m)
    expect(await desk.run(['report', 'times'])).toEqual({ code: 0, stdout: '', stderr: 'Nothing to report.\n' })
  })

  test.each([
    [['report', 'all'], /There is no report all\. Reports: kpis, throughput, /],
    [['report', 'constructor'], /There is no report constructor\./],
    [
      ['report', 'kpis', '--last', '1h'],
      /The report kpis has no --last\. It takes --queue, --type, --channel, --as-of\./,
    ],
    [
      ['report', 'oldest', '--as-of', '0'],
      /The report oldest has no --as-of\. It takes --queue, --type, --channel, --limit/,
    ],
    [['report', '--as-of', '0', '--type', 'note'], /With --as-of the report kpis is of all queues/],
    [['report', 'times', '--last', 'long'], /Expected `--last` to be a duration/],
    [['report', 'times', '--csv', '--json'], /Give --csv or --json, not both\./],
  ])('%j is refused with 2', async (args, message) => {
    const { code, stdout, stderr } = await desk.run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })
})

test('values with commas: what would be taken for something else is quoted, a formula is a text', () => {
  const text = csv(
    ['a', 'b'],
    [
      ['x,y', 'say "hi"'],
      ['=1+1', null],
      [-1, 'two\nlines'],
      [undefined, true],
    ],
  )
  expect(text).toBe('a,b\r\n"x,y","say ""hi"""\r\n\'=1+1,\r\n-1,"two\nlines"\r\n,true')
})
