/** Looking into the past: --as-of, replay, rebuild, diff. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSqliteViews } from '../../adapters/sqlite/views.js'
import { type Difference, defineJob, type JobStatus, type RecordedEvent } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle: (text: string) => text })
const bad = defineJob({
  type: 'bad',
  maxAttempts: 1,
  handle() {
    throw new Error('bad')
  },
})

let desk: Desk
let before: number
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    await ledger.register(note)
    await ledger.register(bad)
    await ledger.enqueue(note, 'a', { id: 'a', delay: '1d' })
    await ledger.enqueue(bad, null, { id: 'bad', queue: 'other' })
    await ledger.triggers.add({ id: 'nightly', kind: 'every', when: '1d', job: note, payload: 'n' })
    before = Date.now()
    // What follows is of a later millisecond.
    while (Date.now() <= before) await nextTurn()
    await ledger.promote('a')
    await ledger.triggers.remove('nightly')
    await ledger.start()
    await Promise.allSettled([ledger.result('a'), ledger.result('bad')])
  })
})
afterAll(() => desk.remove())

const then = (): string[] => ['--as-of', new Date(before).toISOString()]

describe('as of then', { timeout: PATIENCE }, () => {
  test('every verb that looks says what was', async () => {
    expect(await desk.json<JobStatus>('status', 'a', ...then())).toMatchObject({ id: 'a', state: 'scheduled' })
    expect(await desk.json('history', 'a', ...then())).toMatchObject({ events: [{ type: 'Queued' }] })
    expect(await desk.json('stats', ...then())).toMatchObject({ queues: { default: { scheduled: 1, succeeded: 0 } } })
    const { jobs } = await desk.json<{ jobs: { id: string; state: string }[] }>('list', ...then())
    expect(jobs.map(({ id, state }) => [id, state]).sort()).toEqual([
      ['a', 'scheduled'],
      ['bad', 'ready'],
    ])
    expect(await desk.json('triggers', 'list', ...then())).toMatchObject({ triggers: [{ id: 'nightly' }] })
    expect(await desk.json('workers', ...then())).toEqual({ workers: [] })
    expect(await desk.json('report', ...then())).toMatchObject({ pending: 2, pendingByType: { note: 1, bad: 1 } })
  })

  test('refuses what has not come', async () => {
    const { code, stderr } = await desk.run(['stats', '--as-of', '2999-01-01T00:00:00Z'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('`--as-of` to be an instant that has come')])
  })
})

describe('replay', { timeout: PATIENCE }, () => {
  test('a line for each event, or one document', async () => {
    const { code, stdout } = await desk.run(['replay', '--job', 'a', '--bodies'])
    expect(code).toBe(0)
    const lines = stdout.trimEnd().split('\n')
    expect(lines.map((line) => line.split('  ')[3])).toEqual(['Queued', 'Rescheduled', 'Leased', 'Finished'])
    expect(lines[0]).toMatch(/^\d{4}-\S+Z {2}\d+ {2}job-a {2}Queued {2}\{.*\} {2}"a"$/)
    const filter = ['--queue', 'other', '--event', 'Failed', '--stream', 'job-']
    const { events } = await desk.json<{ events: RecordedEvent[] }>('replay', ...filter)
    expect(events.map(({ stream, type }) => [stream, type])).toEqual([['job-bad', 'Failed']])
    expect(await desk.json('replay', '--until', String(0))).toEqual({ events: [] })
  })

  test('refuses a speed of nothing', async () => {
    expect((await desk.run(['replay', '--speed', '0'])).code).toBe(2)
  })
})

describe('diff', { timeout: PATIENCE }, () => {
  test('lists what differs and exits with 1, or says that nothing does', async () => {
    desk.write('more.ts', `export default { retry: { bad: { maxAttempts: 3 } } }`)
    const { code, stdout, stderr } = await desk.run(['diff', '--module', 'more.ts'])
    expect([code, stderr]).toEqual([1, '2 differences\n'])
    expect(stdout).toMatch(/^job bad \(bad\): after attempt 1 \(Error, \S+\): the end -> again from \S+ to \S+$/m)
    expect(stdout).toMatch(/^job bad \(bad\): failed -> open$/m)
    desk.write('same.ts', `export default { retry: { bad: {} } }`)
    const same = await desk.run(['diff', '--module', 'same.ts', '--json'])
    expect([same.code, JSON.parse(same.stdout) as { differences: Difference[] }]).toEqual([0, { differences: [] }])
  })

  test.each([
    ['nowhere.ts', undefined, 'There is no module'],
    ['odd.ts', 'export default { retries: {} }', 'odd.ts: expected one of projections, machine, retry, got retries.'],
    ['none.ts', 'export const retry = {}', 'none.ts: expected the default export to be an object'],
  ])('refuses %s', async (file, content, told) => {
    if (content !== undefined) desk.write(file, content)
    const { code, stderr } = await desk.run(['diff', '--module', file])
    expect([code, stderr]).toEqual([2, expect.stringContaining(told)])
  })
})

describe('rebuild', { timeout: PATIENCE }, () => {
  test('says what is identical; what is not it puts right when told to, and exits with 5', async () => {
    const { code, stdout } = await desk.run(['rebuild'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^jobs +\d+ +\d+ +identical +[0-9a-f]{16}$/m)
    const views = await openSqliteViews(desk.path('jobledger.db-views'))
    const checkpoint = await views.checkpoint()
    if (checkpoint === undefined) throw new Error('nothing kept')
    const wrong = new Map([...(await views.texts()), ['queue-stats', '[]']])
    await views.save({ checkpoint, since: 'all', rows: [], texts: wrong, removed: new Map(), expunged: [] })
    await views.close()
    const found = await desk.run(['rebuild', '--apply', '--json'])
    expect(found.code).toBe(5)
    expect(JSON.parse(found.stdout)).toMatchObject({ applied: true })
    expect((await desk.run(['rebuild'])).code).toBe(0)
    expect(await desk.json('stats')).toMatchObject({ queues: { default: { succeeded: 1 } } })
  })
})
