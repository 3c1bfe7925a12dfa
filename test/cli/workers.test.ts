import { hostname } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineJob, type StaleLease, type WorkerInfo } from '../../index.js'
import { CONFIG_JS, Desk, PATIENCE, type Started } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
let remote: string
let worker: Started
beforeAll(async () => {
  desk = new Desk()
  desk.write('jobs.mjs', CONFIG_JS)
  await desk.with(async (ledger) => {
    await ledger.enqueue(note, null, { id: 'far' })
    const types = ['a', 'b', 'c', 'd', 'e']
    const more = { pool: 'builders', channels: 'org', arch: 'x64', codeVersion: 'v7' }
    const told = { name: 'crawler\u0007', types, queues: ['web', ''], concurrency: 3 }
    remote = await ledger.workers.register({ ...told, ...more })
    await ledger.leaseById('far', remote, { lease: '1h' })
  })
  await desk.enqueue('pause', null, { id: 'near' })
  worker = desk.start(['work', '-c', 'jobs.mjs'])
  await worker.said('pause begins')
})
afterAll(() => desk.remove())

describe('workers', { timeout: PATIENCE }, () => {
  test('as a table, the longest silent first', async () => {
    const { code, stdout, stderr } = await desk.run(['workers'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [heading, first, second] = stdout.split('\n')
    expect(heading).toMatch(/^ID +STATUS +SLOTS +SINCE +LAST SEEN +POOL +WHERE +QUEUES +TYPES +ABOUT$/)
    const known = 'builders +elsewhere +web, "" +a, b, c and 2 more +crawler\\\\u0007, channels org, x64, version v7$'
    expect(first).toMatch(new RegExp(`^${remote} +active +1/3 .* ${known}`))
    expect(second).toMatch(new RegExp(` active +1/10 .*${hostname()}/\\d+ +any +add, fail, pause and 2 more`))
  })

  test('as the document that the library gives', async () => {
    const workers = await desk.with((ledger) => ledger.workers.list())
    expect(await desk.json<{ workers: WorkerInfo[] }>('workers')).toEqual({ workers })
    expect(await desk.json('workers', '--older-than', '1h')).toEqual({ workers: [] })
    expect((await desk.run(['workers', '--older-than', '1h'])).stderr).toBe('No workers.\n')
  })
})

describe('workers pause, resume and remove', { timeout: PATIENCE }, () => {
  let [a, b] = ['', '']
  const stateOf = async (id: string): Promise<Partial<WorkerInfo> | undefined> =>
    (await desk.with((ledger) => ledger.workers.list())).find((info) => info.id === id)

  beforeAll(() =>
    desk.with(async (ledger) => {
      ;[a, b] = [await ledger.workers.register(), await ledger.workers.register()]
    }),
  )

  test('pause one with a reason, which the list shows', async () => {
    const paused = await desk.run(['workers', 'pause', a, '--reason', 'disk nearly full'])
    expect(paused).toEqual({ code: 0, stdout: '', stderr: `Worker ${a} is paused.\n` })
    expect(await stateOf(a)).toMatchObject({ status: 'paused', reason: 'disk nearly full' })
    expect((await desk.run(['workers'])).stdout).toMatch(
      new RegExp(`${a} +paused +0/1 .* paused: disk nearly full$`, 'm'),
    )
    expect(await desk.json('workers', 'resume', a, '--as', 'ada')).toEqual({ workers: [{ id: a, resumed: true }] })
    expect(await stateOf(a)).toMatchObject({ status: 'active' })
  })

  test('remove each of several, and end with the first refusal', async () => {
    const { code, stdout, stderr } = await desk.run(['workers', 'remove', remote, a, 'nobody', b])
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' })
    expect(stderr.split('\n')).toEqual([
      `error: Worker ${remote} cannot be removed: it holds 1 job.`,
      `Worker ${a} is removed.`,
      'error: There is no worker nobody: register it first.',
      `Worker ${b} is removed.`,
      '',
    ])
    const again = await desk.run(['workers', 'pause', a, '--json'])
    expect(again.code).toBe(4)
    expect(JSON.parse(again.stdout)).toEqual({
      workers: [{ id: a, paused: false, error: { code: 'WORKER_GONE', message: `Worker ${a} is stopped.` } }],
    })
  })
})

describe('leases', { timeout: PATIENCE }, () => {
  test('as a table, the longest silent first', async () => {
    const { code, stdout, stderr } = await desk.run(['leases'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [heading, far, near] = stdout.split('\n')
    expect(heading).toMatch(/^JOB +WORKER +LAST SIGN +EXPIRES$/)
    expect(far).toMatch(new RegExp(`^far +${remote} .*(ago|now) .* \\(in (59m|1h)`))
    expect(near).toMatch(/^near /)
  })

  test('as the document that the library gives', async () => {
    const { leases } = await desk.json<{ leases: StaleLease[] }>('leases', '--older-than', '1ms')
    expect(leases.map((lease) => lease.id)).toContain('far')
    expect(leases.find((lease) => lease.id === 'far')).toEqual({
      id: 'far',
      workerId: remote,
      token: expect.any(String),
      seenAt: expect.any(Number),
      expiresAt: expect.any(Number),
    })
    const none = await desk.run(['leases', '--older-than', '1h'])
    expect(none).toEqual({ code: 0, stdout: '', stderr: 'No lease has been silent for 1h.\n' })
  })
})

test.each([
  [['workers', '--older-than', 'long'], /Expected `--older-than` to be a duration/],
  [['workers', 'x'], /too many arguments/],
  [['workers', 'pause'], /missing required argument 'id'/],
  [['workers', 'remove', 'x', '--reason', 'why'], /--reason needs --as/],
  [['leases', '--older-than', '-1s'], /Expected `--older-than` to be a duration/],
  [['leases', 'x'], /too many arguments/],
])('%j is refused with 2', async (args, message) => {
  const { code, stdout, stderr } = await desk.run(args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(message)
})
