import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineJob } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    for (const id of ['a', 'b', 'c', 'd']) await ledger.enqueue(note, null, { id })
    await ledger.cancel('c')
    await ledger.cancel('d')
  })
})
afterAll(() => desk.remove())

describe('cancel', { timeout: PATIENCE }, () => {
  test('ends a job and records why', async () => {
    const told = await desk.run(['cancel', 'a', '--reason', 'not needed'])
    expect(told).toEqual({ code: 0, stdout: '', stderr: 'Job a is cancelled.\n' })
    expect(await desk.status('a')).toMatchObject({ state: 'cancelled', reason: 'not needed' })
  })

  test('as a document', async () => {
    expect(await desk.json('cancel', 'b', '--if-idle')).toEqual({ id: 'b', cancelled: true })
  })

  test('of an ended job is a conflict, unless that is no matter', async () => {
    const refused = await desk.run(['cancel', 'c'])
    expect(refused).toEqual({ code: 4, stdout: '', stderr: 'error: Job c has already ended: cancelled.\n' })
    expect(await desk.json('cancel', 'c', '--ignore-ended')).toEqual({ id: 'c', cancelled: false })
  })
})

describe('retry', { timeout: PATIENCE }, () => {
  test('sends ended jobs round again, each by itself', async () => {
    const { code, stdout, stderr } = await desk.run(['retry', 'c', 'nobody', 'd', 'd', '--quiet'])
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toBe(
      'error: There is no job nobody.\nerror: Job d has not ended, it is waiting: only an ended job can be retried.\n',
    )
    expect(await desk.status('c')).toMatchObject({ state: 'ready' })
    expect(await desk.status('d')).toMatchObject({ state: 'ready' })
  })

  test('as a document', async () => {
    const { code, stdout, stderr } = await desk.run(['retry', 'a', 'c', '--json'])
    expect({ code, stderr }).toEqual({ code: 4, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      jobs: [
        { id: 'a', retried: true },
        { id: 'c', retried: false, error: { code: 'JOB_NOT_ENDED', message: expect.any(String) } },
      ],
    })
  })
})
