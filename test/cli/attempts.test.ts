import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AttemptRecord, defineJob } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
let workerId: string
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    for (const id of ['new', 'job', 'unstarted']) await ledger.enqueue(note, null, { id })
    workerId = await ledger.workers.register()
    const lease = async (): Promise<string> => (await ledger.leaseById('job', workerId)).token
    await ledger.fail(await lease(), new RangeError('out of\nluck'), { retryAt: 0 })
    await ledger.requeueOrFinish(await lease(), 9)
    await ledger.finish(await lease(), 'well')
    await ledger.retry('job')
    await lease()
    await ledger.failUnstarted('unstarted')
  })
})
afterAll(() => desk.remove())

const ISO = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/

/** Cells of a table; no cell of these holds two spaces. */
const cells = (stdout: string): string[][] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/))

describe('attempts', { timeout: PATIENCE }, () => {
  test('as a table, a round beside the other', async () => {
    const { code, stdout, stderr } = await desk.run(['attempts', 'job'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const started = expect.stringMatching(ISO)
    const took = expect.stringMatching(/^\d+(ms|\.\ds|s)$/)
    expect(cells(stdout)).toEqual([
      ['RUN', 'ROUND', 'ATTEMPT', 'WORKER', 'STARTED', 'TOOK', 'OUTCOME', 'ERROR'],
      ['1', '1', '1', workerId, started, took, 'failed', 'RangeError: out of luck'],
      ['2', '1', '2', workerId, started, took, 'released'],
      ['3', '1', '2', workerId, started, took, 'succeeded'],
      ['4', '2', '1', workerId, started, 'running'],
    ])
  })

  test('of a job that was never started', async () => {
    const { stdout } = await desk.run(['attempts', 'unstarted'])
    expect(cells(stdout)).toEqual([
      ['RUN', 'ATTEMPT', 'WORKER', 'STARTED', 'TOOK', 'OUTCOME', 'ERROR'],
      ['0', '0', 'never', 'failed', 'NotStarted'],
    ])
  })

  test('of a job that has not run', async () => {
    expect(await desk.run(['attempts', 'new'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'Job new has not run yet.\n',
    })
    expect(await desk.json('attempts', 'new')).toEqual({ id: 'new', attempts: [] })
  })

  test('as the document that the library gives', async () => {
    const attempts = await desk.with((ledger) => ledger.attempts('job'))
    expect(await desk.json<{ attempts: AttemptRecord[] }>('attempts', 'job')).toEqual({ id: 'job', attempts })
    expect(attempts[0]?.error).toMatchObject({ message: 'out of\nluck', stack: expect.any(String) })
  })
})
