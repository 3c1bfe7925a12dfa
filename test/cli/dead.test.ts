import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineJob, type JobPage } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const send = defineJob({ type: 'send', handle() {} })
const print = defineJob({ type: 'print', queue: 'paper', handle() {} })

let desk: Desk
/** Dead: d1, d2 (send), d3 (print, in queue paper, channel eu). `w` waits. */
beforeEach(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    for (const id of ['d1', 'd2', 'w']) await ledger.enqueue(send, null, { id })
    await ledger.enqueue(print, null, { id: 'd3', channel: 'eu' })
    for (const id of ['d1', 'd2', 'd3']) await ledger.failUnstarted(id)
  })
})
afterEach(() => desk.remove())

const dead = async (...filter: string[]): Promise<string[]> =>
  (await desk.json<JobPage>('dead', 'list', ...filter)).jobs.map((job) => job.id)

describe('dead list', { timeout: PATIENCE }, () => {
  test('as a table, newest first', async () => {
    const { code, stdout, stderr } = await desk.run(['dead', 'list'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^ID +TYPE +QUEUE +ATTEMPTS +FAILED +ERROR$/)
    expect(lines.slice(1).map((line) => line.split(/ +/).slice(0, 4))).toEqual([
      ['d3', 'print', 'paper/eu', '0/20'],
      ['d2', 'send', 'default', '0/20'],
      ['d1', 'send', 'default', '0/20'],
    ])
    expect(lines[1]).toMatch(/(ago|now) +NotStarted$/)
  })

  test('by filter and by page', async () => {
    expect(await dead('--type', 'send')).toEqual(['d2', 'd1'])
    expect(await dead('--queue', 'paper', '--channel', 'eu')).toEqual(['d3'])
    const first = await desk.run(['dead', 'list', '--limit', '2'])
    const [, cursor = ''] = /^There are more: --cursor '(.*)'\n$/.exec(first.stderr) ?? []
    expect(await dead('--limit', '2', '--cursor', cursor)).toEqual(['d1'])
    expect(await desk.run(['dead', 'list', '--type', 'none'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'No dead letters.\n',
    })
  })
})

describe('dead retry', { timeout: PATIENCE }, () => {
  test('sends those named round again, and tells the refused with their reasons', async () => {
    const { code, stdout, stderr } = await desk.run(['dead', 'retry', 'd1', 'nobody', 'w', '--as', 'ada'])
    expect({ code, stdout }).toEqual({ code: 3, stdout: 'retried  1\nrefused  2\n' })
    expect(stderr).toBe('error: There is no job nobody.\nerror: Job w is no dead letter: it is waiting.\n')
    expect(await dead()).toEqual(['d3', 'd2'])
    const history = await desk.with((ledger) => ledger.history('d1'))
    expect(history.at(-1)).toMatchObject({ type: 'Retried', metadata: { actor: 'ada' } })
  })

  test('by filter, as a document', async () => {
    await desk.with((ledger) => ledger.expunge('d2'))
    const { code, stdout, stderr } = await desk.run(['dead', 'retry', '--type', 'send', '--json'])
    expect({ code, stderr }).toEqual({ code: 4, stderr: '' })
    const message = 'Job d2 cannot run again: its payload was erased.'
    expect(JSON.parse(stdout)).toEqual({
      retried: 1,
      refused: [{ id: 'd2', error: { code: 'JOB_EXPUNGED', message } }],
    })
    expect(await dead()).toEqual(['d3', 'd2'])
  })

  test('all', async () => {
    expect(await desk.json('dead', 'retry', '--all')).toEqual({ retried: 3, refused: [] })
    expect(await dead()).toEqual([])
  })
})

describe('dead clean', { timeout: PATIENCE }, () => {
  test('takes those out that nobody needs', async () => {
    await desk.enqueue('send', null, { id: 'after', dependsOn: ['d1'] })
    const { code, stdout, stderr } = await desk.run(['dead', 'clean', '--type', 'send', '--as', 'ada'])
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'removed  1\nkept     1\n', stderr: '' })
    expect(await dead()).toEqual(['d3', 'd1'])
    expect(await desk.json('dead', 'clean', 'd3', 'w')).toEqual({ removed: 1, kept: 1 })
    expect(await desk.eventsOf('w')).toEqual(['Queued'])
  })

  test('all', async () => {
    expect(await desk.json('dead', 'clean', '--all')).toEqual({ removed: 3, kept: 0 })
    expect(await desk.run(['status', 'd1'])).toMatchObject({
      code: 3,
      stderr: 'error: Job d1 was removed; it had failed.\n',
    })
  })

  test('of a job that is not there ends with 3', async () => {
    expect(await desk.run(['dead', 'clean', 'nobody', 'd1', 'd1'])).toEqual({
      code: 3,
      stdout: 'removed  1\nkept     0\n',
      stderr: 'error: 1 of these ids is not there.\n',
    })
  })
})

describe('dead', { timeout: PATIENCE }, () => {
  test('without a verb explains itself', async () => {
    const { code, stdout, stderr } = await desk.run(['dead'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^Usage: jobledger dead /)
  })

  test.each([
    [['retry'], /Say which: ids, or --type, --queue or --channel, or --all for every dead letter\./],
    [['clean'], /Say which: ids, or --type, --queue or --channel, or --all for every dead letter\./],
    [['clean', '--all', '--type', 'send'], /only one of these/],
    [['clean', 'd1', '--all'], /only one of these/],
    [['retry', 'd1', '--queue', 'default'], /only one of these/],
    [['retry', '--all', '--reason', 'x'], /--reason needs --as <user>/],
    [['clean', '--all', '--force'], /unknown option '--force'/],
    [['retry', '--limit', '1', '--all'], /unknown option '--limit'/],
    [['list', '--limit', '0'], /Expected `--limit` to be an integer >= 1/],
    [['list', '--limit', '1001'], /Expected `--limit` to be an integer from 1 to 1000/],
    [['list', '--cursor', 'x'], /Expected `--cursor` to be the cursor of a page/],
    [['bury'], /unknown command 'bury'/],
  ])('%j is refused with 2, and nothing is done', async (args, message) => {
    const { code, stdout, stderr } = await desk.run(['dead', ...args])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/^error: .*\nSee: jobledger --help.*\n$/)
    const { jobs } = await desk.with((ledger) => ledger.deadLetters.list())
    expect(jobs.map((job) => job.id)).toEqual(['d3', 'd2', 'd1'])
  })
})
