import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineJob } from '../../index.js'
import { CONFIG_JS, Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.remove())

/** Jobs that were cancelled, and jobs that wait. */
async function seed(ended: readonly string[], waiting: readonly string[] = []): Promise<void> {
  await desk.with(async (ledger) => {
    for (const id of [...ended, ...waiting]) await ledger.enqueue(note, { secret: id }, { id })
    for (const id of ended) await ledger.cancel(id)
  })
}

describe('expunge', { timeout: PATIENCE }, () => {
  test('erases what a job brought, and keeps what happened', async () => {
    await seed(['a'], ['w'])
    const { code, stdout, stderr } = await desk.run(['expunge', 'a', 'a', 'w', 'nobody', '--as', 'ada'])
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' })
    expect(stderr.trimEnd().split('\n')).toEqual([
      'The contents of job a are erased.',
      'Job a had nothing left to erase.',
      'error: Job w has not ended, it is waiting.',
      'error: There is no job nobody.',
    ])
    const history = await desk.run(['history', 'a'])
    expect(history.stdout).toMatch(/ Queued .* \(erased\)\n.* Cancelled .*\n.* Expunged +1 body erased by ada\n$/)
    expect((await desk.run(['status', 'a'])).stdout).not.toMatch(/secret/)
    expect(desk.read('jobledger.db').includes('{"secret":"a"}')).toBe(false)
    expect(await desk.status('w')).toMatchObject({ payload: { secret: 'w' } })
  })

  test('as a document; then it cannot run again', async () => {
    await seed(['a'])
    expect(await desk.json('expunge', 'a')).toEqual({ jobs: [{ id: 'a', expunged: true }] })
    expect(await desk.run(['retry', 'a'])).toEqual({
      code: 4,
      stdout: '',
      stderr: 'error: Job a cannot run again: its payload was erased.\n',
    })
  })
})

describe('remove', { timeout: PATIENCE }, () => {
  test('takes jobs out for good, and says so to who asks for them', async () => {
    await seed(['a'], ['w'])
    const { code, stdout, stderr } = await desk.run(['remove', 'a', 'nobody', 'w', 'a'])
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    const gone = 'Job a was removed; it had been cancelled.'
    expect(stderr).toBe(`Job a is removed.\nerror: There is no job nobody.\nJob w is removed.\nerror: ${gone}\n`)
    for (const verb of ['status', 'attempts', 'result', 'retry', 'delete']) {
      expect(await desk.run([verb, 'a'])).toEqual({ code: 3, stdout: '', stderr: `error: ${gone}\n` })
    }
    expect(await desk.json('list')).toEqual({ jobs: [] })
    expect((await desk.run(['enqueue', 'note', '--id', 'a'])).code).toBe(4)
  })

  test('takes what nobody else needs along, with --cascade', async () => {
    await seed([], ['shared', 'root'])
    await desk.enqueue('note', null, { id: 'mid', dependsOn: ['root', 'shared'] })
    await desk.enqueue('note', null, { id: 'top', dependsOn: ['mid'] })
    await desk.enqueue('note', null, { id: 'other', dependsOn: ['shared'] })
    expect(await desk.run(['delete', 'top', '--cascade'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'Job top is removed, and with it mid, root.\n',
    })
    expect((await desk.run(['status', 'shared'])).code).toBe(0)
    const jobs = [{ id: 'other', removed: true, ids: ['other', 'shared'] }]
    expect(await desk.json('remove', 'other', '--cascade')).toEqual({ jobs })
  })

  test('leaves alone what others need, but for --force', async () => {
    await seed([], ['root'])
    await desk.enqueue('note', null, { id: 'top', dependsOn: ['root'] })
    expect(await desk.run(['remove', 'root'])).toEqual({
      code: 4,
      stdout: '',
      stderr: 'error: Job root is needed by top. --force takes it from them.\n',
    })
    expect(await desk.eventsOf('root')).toEqual(['Queued'])
    expect((await desk.run(['remove', 'root', '--force'])).code).toBe(0)
  })

  test('leaves alone what runs, but for --force', async () => {
    desk.write('jobs.mjs', CONFIG_JS)
    await desk.enqueue('pause', null, { id: 'x' })
    const worker = desk.start(['work', '-c', 'jobs.mjs', '--until-empty'])
    await worker.said('pause begins')
    const refused = await desk.run(['remove', 'x', '--json'])
    expect({ code: refused.code, stderr: refused.stderr }).toEqual({ code: 4, stderr: '' })
    const error = { code: 'JOB_RUNNING', message: 'Job x is running. --force cancels it first.' }
    expect(JSON.parse(refused.stdout)).toEqual({ jobs: [{ id: 'x', removed: false, error }] })
    expect(await desk.json('remove', 'x', '--force')).toEqual({ jobs: [{ id: 'x', removed: true, ids: ['x'] }] })
    expect(await worker.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('run interrupted') })
  })

  test.each([
    [['remove'], /missing required argument 'id'/],
    [['remove', 'w', '--reason', 'x'], /--reason needs --as <user>/],
    [['remove', 'w', '--forse'], /unknown option '--forse'/],
    [['expunge'], /missing required argument 'id'/],
    [['expunge', 'w', '--force'], /unknown option '--force'/],
  ])('%j is refused with 2, and nothing is done', async (args, message) => {
    await seed([], ['w'])
    const { code, stdout, stderr } = await desk.run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(await desk.eventsOf('w')).toEqual(['Queued'])
  })
})
