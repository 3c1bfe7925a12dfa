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
    remote = await ledger.workers.register({ name: 'crawler\u0007', types, queues: ['web', ''], concurrency: 3 })
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
    expect(heading).toMatch(/^ID +STATUS +SLOTS +SINCE +LAST SEEN +QUEUES +TYPES +NAME$/)
    expect(first).toMatch(new RegExp(`^${remote} +active +3 .* web, "" +a, b, c and 2 more +crawler\\\\u0007$`))
    expect(second).toMatch(/ active +10 .* any +add, fail, pause and 2 more$/)
  })

  test('as the document that the library gives', async () => {
    const workers = await desk.with((ledger) => ledger.workers.list())
    expect(await desk.json<{ workers: WorkerInfo[] }>('workers')).toEqual({ workers })
    expect(await desk.json('workers', '--older-than', '1h')).toEqual({ workers: [] })
    expect((await desk.run(['workers', '--older-than', '1h'])).stderr).toBe('No workers.\n')
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
  [['leases', '--older-than', '-1s'], /Expected `--older-than` to be a duration/],
  [['leases', 'x'], /too many arguments/],
])('%j is refused with 2', async (args, message) => {
  const { code, stdout, stderr } = await desk.run(args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(message)
})
