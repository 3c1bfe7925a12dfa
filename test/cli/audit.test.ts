import { existsSync, statSync } from 'node:fs'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineJob } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeEach(() => {
  desk = new Desk()
})
afterEach(() => desk.remove())

/** A key, and a checkpoint over job a that somebody keeps. */
async function begun(): Promise<void> {
  const { stdout } = await desk.run(['audit', 'keys', 'generate', '--name', 'example.com/jobs', '--to', 'jobs.key'])
  desk.write('jobs.pub', stdout)
  await desk.with((ledger) => ledger.enqueue(note, { secret: 'a' }, { id: 'a' }))
  const signed = await desk.run(['audit', 'checkpoint', '--key', 'jobs.key'])
  expect(signed).toMatchObject({ code: 0, stderr: 'Signed: 2 events.\n' })
  desk.write('monday.note', signed.stdout)
}

const HELD = ['--held', 'monday.note', '--key', 'jobs.pub']

describe('audit', { timeout: PATIENCE }, () => {
  test('a job is proven to who holds a checkpoint, and the log is checked by it', async () => {
    await begun()
    await desk.with((ledger) => ledger.enqueue(note, {}, { id: 'b' }))
    const early = await desk.run(['audit', 'prove', 'b'])
    expect(early).toMatchObject({ code: 4, stdout: '', stderr: expect.stringMatching(/after the last checkpoint/) })
    await desk.with((ledger) => ledger.cancel('a'))
    const half = await desk.run(['audit', 'prove', 'a', '--to', 'half.proof'])
    expect(half).toMatchObject({ code: 0, stderr: '1 event came after the last checkpoint: not in the proof.\n' })
    expect((await desk.run(['audit', 'verify', 'half.proof', ...HELD])).stdout).toMatch(/later +1 event since/)
    await desk.run(['audit', 'checkpoint'], { env: { JOBLEDGER_AUDIT_KEY: 'jobs.key' } })
    await desk.run(['audit', 'prove', 'a', '--since', 'monday.note', '--to', 'a.proof'])
    const proven = await desk.run(['audit', 'verify', 'a.proof', ...HELD])
    expect(proven).toMatchObject({ code: 0, stderr: '' })
    expect(proven.stdout).toMatch(
      /proven +each event is in that checkpoint\nheld +1 checkpoint, which this one grew out of/,
    )
    const checked = await desk.run(['audit', 'verify', ...HELD])
    expect(checked).toMatchObject({ code: 0, stderr: '' })
    expect(checked.stdout).toMatch(/compared +\d+ events\n(.*\n)*relative to +the checkpoints held/)
    const exported = await desk.run(['export', '--to', 'all.ndjson.gz', '--since', 'monday.note'])
    expect(exported).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^Proven by the last checkpoint, but for/),
    })
    const whole = await desk.run(['audit', 'verify', 'all.ndjson.gz', ...HELD])
    expect(whole.stdout).toMatch(/proven +what is not unsealed is in that checkpoint, in order and without a gap/)
    const { keys } = await desk.json<{ keys: object[] }>('audit', 'keys', 'list')
    expect(keys).toEqual([expect.objectContaining({ checkpoints: 2, own: false })])
  })

  test('what differs is listed, and ends with 5', async () => {
    await begun()
    await desk.run(['audit', 'prove', 'a', '--to', 'a.proof'])
    desk.write('b.proof', desk.read('a.proof').toString().replace('secret', 'public'))
    const file = await desk.run(['audit', 'verify', 'b.proof', ...HELD])
    expect(file).toMatchObject({ code: 5, stderr: 'error: 2 differences found.\n' })
    const db = new Database(desk.path('jobledger.db'))
    db.prepare("UPDATE jobledger_events SET at = at + 1 WHERE name = 'job-a'").run()
    db.close()
    const rescued = await desk.run(['export', '--to', 'all.ndjson'])
    expect(rescued).toMatchObject({ code: 5, stderr: expect.stringMatching(/proves nothing: Queued at revision 0/) })
    const log = await desk.run(['audit', 'verify', ...HELD])
    expect(log).toMatchObject({ code: 5, stderr: 'error: 1 difference found.\n' })
    expect(log.stdout).toMatch(/\nchanged: Queued at revision 0 of job-a is not as it was\n$/)
    const { stdout } = await desk.run(['audit', 'verify', ...HELD, '--held', 'a.proof', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      held: 2,
      findings: [{ kind: 'changed', stream: 'job-a', revision: 0 }],
    })
  })

  test('a private key is readable by its owner only, is not written over, and is not shown', async () => {
    await begun()
    if (process.platform !== 'win32') expect(statSync(desk.path('jobs.key')).mode & 0o777).toBe(0o600)
    const again = ['audit', 'keys', 'generate', '--name', 'x', '--to', 'jobs.key']
    expect(await desk.run(again)).toMatchObject({ code: 2, stdout: '' })
    const wrong = await desk.run(['audit', 'verify', '--key', 'jobs.key'])
    expect(wrong).toMatchObject({ code: 2, stderr: expect.not.stringContaining('PRIVATE+KEY') })
  })

  test.each([
    [['audit', 'checkpoint'], 2],
    [['audit', 'prove', '--event', 'job-a'], 2],
    [['audit', 'prove', 'a'], 3],
    [['audit', 'verify', 'nowhere.proof'], 2],
    [['audit', 'keys', 'generate', '--name', 'a b', '--to', 'x.key'], 2],
  ])('%j ends with %i, and makes nothing', async (args, code) => {
    expect(await desk.run(args)).toMatchObject({ code, stdout: '' })
    for (const file of ['jobledger.db', 'x.key']) expect(existsSync(desk.path(file))).toBe(false)
  })
})
