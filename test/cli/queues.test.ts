import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineJob, type QueueCounts } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })
const memo = defineJob({ type: 'memo', handle() {} })

let desk: Desk
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    await ledger.enqueue(note, null, { queue: 'mail' })
    await ledger.enqueue(memo, null, { queue: 'mail' })
    await ledger.enqueue(memo, null)
  })
})
afterAll(() => desk.remove())

const lengths = (): Promise<Record<string, QueueCounts>> => desk.with((ledger) => ledger.queues.stats())

describe('queues', { timeout: PATIENCE }, () => {
  test('pause one, with a reason that the lengths show', async () => {
    const paused = await desk.run(['queues', 'pause', 'mail', '--reason', 'server\u0007 down'])
    expect(paused).toEqual({ code: 0, stdout: '', stderr: 'Queue mail is paused.\n' })
    expect((await lengths()).mail).toMatchObject({ paused: true, reason: 'server\u0007 down', ready: 2 })
    const { stdout } = await desk.run(['stats'])
    expect(stdout).toMatch(/^QUEUE .* NOTE$/m)
    expect(stdout).toMatch(/^mail .* paused: server\\u0007 down$/m)
    expect(stdout).toMatch(/^default +[\d ]+$/m)
    expect(await desk.json('queues', 'pause', '', '--as', 'ada')).toEqual({ queue: '', paused: true })
    expect((await desk.run(['stats'])).stdout).toMatch(/^"" .* paused$/m)
  })

  test('resume one', async () => {
    const resumed = await desk.run(['queues', 'resume', ''])
    expect(resumed).toEqual({ code: 0, stdout: '', stderr: 'Queue "" is open.\n' })
    expect(await desk.json('queues', 'resume', 'mail', '--as', 'ada')).toEqual({ queue: 'mail', paused: false })
    expect(Object.values(await lengths()).some(({ paused }) => paused)).toBe(false)
    expect((await desk.run(['stats'])).stdout).not.toContain('NOTE')
  })

  test('limit one, and take the limit away', async () => {
    const limited = await desk.run(['queues', 'limit', 'mail', '5', '--as', 'ada', '--reason', 'slow'])
    expect(limited).toEqual({ code: 0, stdout: '', stderr: 'Queue mail runs at most 5 at once in each process.\n' })
    expect((await desk.run(['stats'])).stdout).toMatch(/^mail .* at most 5 at once in a process$/m)
    expect(await desk.json('queues', 'limit', 'mail', 'none')).toEqual({ queue: 'mail', concurrency: null })
    expect((await desk.run(['stats'])).stdout).not.toContain('NOTE')
  })

  test('are counted by type', async () => {
    const { queues } = await desk.json<{ queues: Record<string, QueueCounts> }>('stats', '--type', 'note')
    expect(queues).toEqual({ mail: expect.objectContaining({ ready: 1 }) })
    const none = await desk.run(['stats', '--type', 'unheard'])
    expect(none).toEqual({ code: 0, stdout: '', stderr: 'No jobs of type unheard yet.\n' })
  })

  test.each([
    [['queues', 'pause'], /missing required argument 'queue'/],
    [['queues', 'pause', 'x'.repeat(201)], /Expected `<queue>` to be a text of at most 200 characters/],
    [['queues', 'pause', 'mail', '--timeout', 'long'], /Expected `--timeout` to be a duration/],
    [['queues', 'resume', 'mail', '--reason', 'why'], /--reason needs --as/],
    [['queues', 'limit', 'mail', '0'], /Expected `<n>` to be an integer >= 1/],
    [['stats', '--type', ''], /Expected `--type` to be a text of 1 to 200 characters/],
  ])('%j is refused with 2', async (args, message) => {
    const { code, stdout, stderr } = await desk.run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })
})
