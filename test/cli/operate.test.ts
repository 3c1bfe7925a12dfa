import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineJob } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    for (const id of ['a', 'b', 'c', 'd', 'e', 'waits']) await ledger.enqueue(note, null, { id })
    for (const id of ['h1', 'h2']) await ledger.enqueue(note, null, { id, held: true })
    for (const id of ['s1', 's2']) await ledger.enqueue(note, null, { id, delay: '1h' })
    await ledger.cancel('c')
    await ledger.cancel('d')
  })
})
afterAll(() => desk.remove())

const metadataOf = async (id: string): Promise<unknown> =>
  (await desk.with((ledger) => ledger.history(id))).at(-1)?.metadata

describe('cancel', { timeout: PATIENCE }, () => {
  test('ends a job and records why', async () => {
    const told = await desk.run(['cancel', 'a', '--reason', 'not needed'])
    expect(told).toEqual({ code: 0, stdout: '', stderr: 'Job a is cancelled.\n' })
    expect(await desk.status('a')).toMatchObject({ state: 'cancelled', reason: 'not needed' })
  })

  test('records who does it', async () => {
    await desk.run(['cancel', 'e', '--as', 'ada', '--reason', 'not needed'])
    expect(await desk.status('e')).toMatchObject({ state: 'cancelled', reason: 'not needed' })
    expect(await metadataOf('e')).toEqual({ actor: 'ada', reason: 'not needed' })
  })

  test('tries each of several, and ends with the first refusal', async () => {
    const { code, stdout, stderr } = await desk.run(['cancel', 'nobody', 'b', 'b'])
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toBe(
      'error: There is no job nobody.\nJob b is cancelled.\nerror: Job b has already ended: cancelled.\n',
    )
  })

  test('of an ended job is a conflict, unless that is no matter', async () => {
    const refused = await desk.run(['cancel', 'c'])
    expect(refused).toEqual({ code: 4, stdout: '', stderr: 'error: Job c has already ended: cancelled.\n' })
    const jobs = [{ id: 'c', cancelled: false }]
    expect(await desk.json('cancel', 'c', '--if-ended', 'ignore')).toEqual({ jobs })
    expect(await desk.json('cancel', 'c', '--ignore-ended')).toEqual({ jobs })
    expect((await desk.run(['cancel', 'c', '--if-ended', 'ignore'])).stderr).toBe('Job c had ended already.\n')
  })
})

describe('retry', { timeout: PATIENCE }, () => {
  test('sends ended jobs round again, each by itself', async () => {
    const { code, stdout, stderr } = await desk.run(['retry', 'c', 'nobody', 'd', 'd', '--quiet'])
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toBe('error: There is no job nobody.\nerror: Job d has not ended, it is waiting.\n')
    expect(await desk.status('c')).toMatchObject({ state: 'ready' })
    expect(await desk.status('d')).toMatchObject({ state: 'ready' })
  })

  test('as a document', async () => {
    const { code, stdout, stderr } = await desk.run(['retry', 'a', 'c', '--json', '--as', 'ada'])
    expect({ code, stderr }).toEqual({ code: 4, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      jobs: [
        { id: 'a', retried: true },
        { id: 'c', retried: false, error: { code: 'JOB_NOT_ENDED', message: expect.any(String) } },
      ],
    })
    expect(await metadataOf('a')).toEqual({ actor: 'ada' })
  })

  test('is refused with 4 where another job holds the unique key', async () => {
    const unique = { unique: { key: 'k' } }
    await desk.enqueue('note', null, { id: 'k1', ...unique })
    await desk.with((ledger) => ledger.cancel('k1'))
    await desk.enqueue('note', null, { id: 'k2', ...unique })
    expect(await desk.run(['retry', 'k1'])).toEqual({
      code: 4,
      stdout: '',
      stderr: 'error: Job k1 cannot run again: job k2 holds its unique key.\n',
    })
  })
})

describe('promote', { timeout: PATIENCE }, () => {
  test('lets held and scheduled jobs run', async () => {
    const { code, stdout, stderr } = await desk.run(['promote', 'h1', 'nobody', 's1', '--as', 'ada', '--reason', 'go'])
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toBe('Job h1 is let go.\nerror: There is no job nobody.\nJob s1 is let go.\n')
    expect(await desk.status('h1')).toMatchObject({ state: 'ready' })
    expect(await desk.status('s1')).toMatchObject({ state: 'ready' })
    expect(await metadataOf('s1')).toEqual({ actor: 'ada', reason: 'go' })
  })

  test('as a document, of one that might run already', async () => {
    expect(await desk.json('promote', 'waits')).toEqual({ jobs: [{ id: 'waits', promoted: true }] })
    expect(await desk.eventsOf('waits')).toEqual(['Queued'])
  })
})

describe('reschedule', { timeout: PATIENCE }, () => {
  test('changes what is named, and only that', async () => {
    const times = ['--run-at', '2100-01-01T00:00Z', '--priority', 'high']
    const { code, stdout, stderr } = await desk.run(['reschedule', 's2', 'h2', 'nobody', ...times, '--as', 'ada'])
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toBe('Job s2 is rescheduled.\nJob h2 is rescheduled.\nerror: There is no job nobody.\n')
    const runAt = Date.UTC(2100, 0, 1)
    expect(await desk.status('s2')).toMatchObject({ state: 'scheduled', runAt, priority: -1 })
    expect(await desk.status('h2')).toMatchObject({ state: 'held', runAt, priority: -1 })
    expect(await metadataOf('h2')).toEqual({ actor: 'ada' })
  })

  test('holds and releases', async () => {
    expect(await desk.json('reschedule', 's2', '--hold')).toEqual({ jobs: [{ id: 's2', rescheduled: true }] })
    expect(await desk.status('s2')).toMatchObject({ state: 'held', priority: -1 })
    await desk.run(['reschedule', 's2', '--release', '--delay', '0'])
    expect(await desk.status('s2')).toMatchObject({ state: 'ready' })
  })
})

describe('a word too few or too many', { timeout: PATIENCE }, () => {
  test.concurrent.each([
    [['cancel'], /missing required argument 'id'/],
    [['cancel', 'waits', '--if-ended', 'x'], /argument 'x' is invalid\. Allowed choices are ignore/],
    [['retry'], /missing required argument 'id'/],
    [['retry', 'waits', '--reason', 'x'], /--reason needs --as <user>/],
    [['retry', 'waits', '--as', 'a'.repeat(201)], /Expected `--as` to be a text of 1 to 200/],
    [['promote'], /missing required argument 'id'/],
    [['promote', 'waits', '--as', 'ada', '--reason', ''], /Expected `--reason` to be a text of 1 to 200/],
    [['promote', 'waits', '--delay', '1s'], /unknown option '--delay'/],
    [['reschedule', 'waits'], /Say what is to change: --run-at, --delay, --priority, --hold or --release\./],
    [['reschedule', '--hold'], /missing required argument 'id'/],
    [['reschedule', 'waits', '--hold', '--release'], /'--hold' cannot be used with option '--release'/],
    [['reschedule', 'waits', '--delay', '1s', '--run-at', '1'], /'--delay <duration>' cannot be used with/],
    [['reschedule', 'waits', '--delay', 'soon'], /Expected `--delay` to be a duration/],
    [['reschedule', 'waits', '--delay', '9'.repeat(16)], /Expected `--delay` to be a/],
    [['reschedule', 'waits', '--run-at', '2100-01-01'], /Expected `--run-at` to be an instant/],
    [['reschedule', 'waits', '--priority', 'urgent'], /Expected `--priority` to be an integer/],
  ])('%j is refused with 2, and nothing is done', async (args, message) => {
    const { code, stdout, stderr } = await desk.run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/^error: .*\nSee: jobledger --help.*\n$/)
    expect(await desk.eventsOf('waits')).toEqual(['Queued'])
  })

  test.each([['promote'], ['reschedule', '--hold']])('%s of an ended job ends with 4', async (verb, ...flags) => {
    expect(await desk.run([verb, 'b', ...flags])).toEqual({
      code: 4,
      stdout: '',
      stderr: 'error: Job b has already ended: cancelled.\n',
    })
  })
})
