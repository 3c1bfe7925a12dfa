import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { defineJob, type JobPage, type JobStatus, type QueueCounts } from '../../index.js'
import { fire } from '../scenarios/fired.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    await ledger.enqueue(note, { text: 'hi' }, { id: 'plain' })
    await ledger.enqueue(note, null, { id: 'after', dependsOn: ['plain'], queue: 'mail', channel: 'eu' })
    await ledger.enqueue(note, '\u001b[31m', { id: 'gone', name: 'a\u001b[2Jb\u202e 日本' })
    await ledger.cancel('gone', { reason: 'not \u0007 needed' })
  })
})
afterAll(() => desk.remove())

const ISO = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/

describe('status', { timeout: PATIENCE }, () => {
  test('as text', async () => {
    const { code, stdout } = await desk.run(['status', 'after'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^id +after$/m)
    expect(stdout).toMatch(/^state +blocked$/m)
    expect(stdout).toMatch(/^channel +eu$/m)
    expect(stdout).toMatch(/^attempts +0\/20 spent, 0 runs so far$/m)
    expect(stdout).toMatch(new RegExp(`^queued +${ISO.source} \\(.*(ago|now)\\)$`, 'm'))
    expect(stdout).toMatch(/^depends on +plain \[still open\]$/m)
    expect(stdout).toMatch(/^payload +null$/m)
  })

  test('as the document that the library gives', async () => {
    const status = await desk.with((ledger) => ledger.status('after'))
    expect(await desk.json<JobStatus>('status', 'after')).toEqual(status)
  })

  test('lets nothing of others steer the terminal', async () => {
    const { stdout } = await desk.run(['status', 'gone'])
    expect(stdout).toMatch(/^name +a\\u001b\[2Jb\\u202e 日本$/m)
    expect(stdout).toMatch(/^reason +not \\u0007 needed$/m)
    expect(stdout).toMatch(/^payload +"\\u001b\[31m"$/m)
  })
})

describe('status of one among others', { timeout: PATIENCE }, () => {
  let other: Desk
  beforeAll(() => {
    other = new Desk()
  })
  afterAll(() => other.remove())

  test('tells for whom it is, who waits for it, and what its handler has so far', async () => {
    await other.with(async (ledger) => {
      await ledger.as({ user: 'grace' }).enqueue(note, null, { id: 'hers', priority: 'high' })
      for (let n = 10; n < 32; n += 1) await ledger.enqueue(note, null, { id: `later-${n}`, dependsOn: ['hers'] })
      const { token } = await ledger.leaseById('hers', await ledger.workers.register())
      await ledger.heartbeat(token, { progress: 0.5, partial: { done: ['\u001b'] } })
    })
    const { stdout } = await other.run(['status', 'hers'])
    expect(stdout).toMatch(/^user +grace$/m)
    expect(stdout).toMatch(/^priority +-1$/m)
    expect(stdout).toMatch(/^progress +0\.5$/m)
    expect(stdout).toMatch(/^partial +{"done":\["\\u001b"\]}$/m)
    expect(stdout).toMatch(/^dependents +later-10, later-11, .*, later-29 and 2 more$/m)
  })

  test('shows what went wrong before it, each beneath what it kept back', async () => {
    await other.with(async (ledger) => {
      await ledger.enqueueMany([
        { job: note, payload: null, options: { id: 'root' } },
        { job: note, payload: null, options: { id: 'mid', dependsOn: [{ id: 'root', otherwise: 'cancel' }] } },
        { job: note, payload: null, options: { id: 'fine' } },
        { job: note, payload: null, options: { id: 'side' } },
        { job: note, payload: null, options: { id: 'top', dependsOn: ['mid', 'fine', 'side'] } },
      ])
      const { token } = await ledger.leaseById('root', await ledger.workers.register())
      await ledger.fail(token, new RangeError('out of\nluck'), { retryable: false })
      await ledger.cancel('side', { reason: 'not needed' })
      await ledger.result('mid').catch(() => {})
    })
    const { stdout } = await other.run(['status', 'top'])
    expect(
      stdout
        .slice(stdout.indexOf('\n\n') + 2)
        .trimEnd()
        .split('\n'),
    ).toEqual([
      'went wrong before it',
      '  mid (note) was cancelled: dependency root failed',
      '    root (note) failed: RangeError: out of luck',
      '  side (note) was cancelled: not needed',
    ])
    const dependencyErrors = await other.with((ledger) => ledger.dependencyErrors('top'))
    const status = await other.with((ledger) => ledger.status('top'))
    expect(await other.json('status', 'top')).toEqual({ ...status, dependencyErrors })
  })

  test('names the story that it belongs to, if it is not its own', async () => {
    other.write(
      'jobs.mjs',
      `import { defineJob } from 'jobledger'
       const child = defineJob({ type: 'child' })
       const handle = (payload, ctx) => ctx.ledger.enqueue(child, null, { id: 'child' }).then(() => undefined)
       export default { jobs: [child, defineJob({ type: 'parent', handle })] }`,
    )
    await other.enqueue('parent', null, { id: 'parent', user: 'grace' })
    await other.run(['work', '-c', 'jobs.mjs', '--until-empty'])
    expect((await other.run(['status', 'child'])).stdout).toMatch(/^user +grace\ncorrelation +parent$/m)
    expect((await other.run(['status', 'parent'])).stdout).not.toMatch(/^correlation/m)
  })
})

describe('a job that a trigger has made', { timeout: PATIENCE }, () => {
  let other: Desk
  beforeAll(async () => {
    other = new Desk()
    const store = await openSqliteStore(other.path('jobledger.db'), { durability: 'normal' })
    const trigger = { id: 'night\u0007ly', occurrence: Date.UTC(2026, 0, 2) }
    await fire(store, { id: 'fired', at: Date.now(), trigger, debounced: true })
    await fire(store, { id: 'other', at: Date.now() })
    await store.close()
  })
  afterAll(() => other.remove())

  test('is said to be', async () => {
    const { stdout } = await other.run(['status', 'fired'])
    expect(stdout).toMatch(/^trigger +night\\u0007ly, for 2026-01-02T00:00:00\.000Z, debounced$/m)
    expect((await other.run(['status', 'other'])).stdout).not.toMatch(/^trigger/m)
    expect((await other.run(['history', 'fired'])).stdout).toMatch(/, made by trigger night\\u0007ly/)
  })

  test('is found by that', async () => {
    for (const [triggers, ids] of [
      [['night\u0007ly', 'nobody'], ['fired']],
      [['nobody'], []],
    ] as const) {
      const { jobs } = await other.json<JobPage>('list', ...triggers.flatMap((id) => ['--trigger', id]))
      expect(jobs.map((job) => job.id)).toEqual(ids)
    }
  })
})

describe('history', { timeout: PATIENCE }, () => {
  test('as a table', async () => {
    const { code, stdout } = await desk.run(['history', 'gone'])
    expect(code).toBe(0)
    const [heading, queued, cancelled, ...rest] = stdout.split('\n')
    expect(heading).toMatch(/^TIME +AGE +EVENT +WHAT IT SAYS +BODY$/)
    expect(queued).toMatch(
      new RegExp(`^${ISO.source} .* Queued +accepted as note in queue default, named .* 20 attempts`),
    )
    expect(cancelled).toMatch(/ Cancelled +cancelled by an operator: not \\u0007 needed$/)
    expect(rest).toEqual([''])
  })

  test('says who did it, and why', async () => {
    await desk.with((ledger) =>
      ledger.as({ user: 'ad\u0007a', reason: 'asked for' }).reschedule('plain', { priority: 0 }),
    )
    const { stdout } = await desk.run(['history', 'plain'])
    expect(stdout).toMatch(/ Rescheduled +changed: priority 0, by ad\\u0007a, because: asked for\n$/)
  })

  test('as a document', async () => {
    const events = await desk.with((ledger) => ledger.history('gone'))
    expect(await desk.json('history', 'gone')).toEqual({ id: 'gone', events })
  })
})

describe('list', { timeout: PATIENCE }, () => {
  test('as a table, newest first', async () => {
    const { code, stdout, stderr } = await desk.run(['list'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^ID +STATE +TYPE +QUEUE +ATTEMPTS +QUEUED +ABOUT$/)
    expect(lines.slice(1).map((line) => line.split(/ +/).slice(0, 4))).toEqual([
      ['gone', 'cancelled', 'note', 'default'],
      ['after', 'blocked', 'note', 'mail/eu'],
      ['plain', 'ready', 'note', 'default'],
    ])
  })

  test.each([
    [
      ['--state', 'ready', '--state', 'blocked'],
      ['after', 'plain'],
    ],
    [['--queue', 'mail'], ['after']],
    [['--channel', 'eu', '--type', 'note'], ['after']],
    [['--type', 'other'], []],
  ])('%j', async (filter, ids) => {
    const { jobs } = await desk.json<JobPage>('list', ...filter)
    expect(jobs.map((job) => job.id)).toEqual(ids)
  })

  test('by pages', async () => {
    const first = await desk.json<JobPage>('list', '--limit', '2')
    expect(first.jobs).toHaveLength(2)
    const rest = await desk.json<JobPage>('list', '--limit', '2', '--cursor', first.cursor ?? '')
    expect(rest.jobs.map((job) => job.id)).toEqual(['plain'])
    expect((await desk.run(['list', '--limit', '2'])).stderr).toBe(`There are more: --cursor '${first.cursor}'\n`)
  })

  test.each([
    [['--state', 'asleep'], /Expected `--state` to be one of held, blocked/],
    [['--limit', '1001'], /Expected `--limit` to be an integer from 1 to 1000/],
  ])('refuses %j with 2', async (filter, message) => {
    const { code, stderr } = await desk.run(['list', ...filter])
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
  })
})

describe('stats', { timeout: PATIENCE }, () => {
  test('as a table with a total', async () => {
    const { code, stdout } = await desk.run(['stats'])
    expect(code).toBe(0)
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/ +/).join(' ')),
    ).toEqual([
      'QUEUE HELD BLOCKED SCHEDULED READY RUNNING SUCCEEDED FAILED CANCELLED',
      'default 0 0 0 1 0 0 0 1',
      'mail 0 1 0 0 0 0 0 0',
      'all 0 1 0 1 0 0 0 1',
    ])
  })

  test('as a document', async () => {
    const { queues } = await desk.json<{ queues: Record<string, QueueCounts> }>('stats')
    expect(queues.mail).toMatchObject({ blocked: 1, ready: 0 })
  })
})

describe('verbs that look', { timeout: PATIENCE }, () => {
  test.concurrent.each([
    ['status'],
    ['history'],
    ['attempts'],
    ['result'],
    ['cancel'],
    ['retry'],
    ['promote'],
    ['reschedule', '--hold'],
    ['expunge'],
    ['remove'],
    ['delete', '--force', '--cascade'],
  ])('%s of an unknown job ends with 3', async (...verb) => {
    const { code, stdout, stderr } = await desk.run([...verb, 'nobody'])
    expect({ code, stdout, stderr }).toEqual({ code: 3, stdout: '', stderr: 'error: There is no job nobody.\n' })
  })

  test.concurrent.each([
    ['status', 'x'],
    ['history', 'x'],
    ['attempts', 'x'],
    ['list'],
    ['stats'],
    ['workers'],
    ['leases'],
    ['result', 'x'],
    ['cancel', 'x'],
    ['retry', 'x'],
    ['promote', 'x'],
    ['reschedule', 'x', '--hold'],
    ['expunge', 'x'],
    ['remove', 'x'],
    ['dead', 'list'],
    ['dead', 'retry', '--all'],
    ['dead', 'clean', '--all'],
    ['retention', 'run', '--older-than', '0'],
    ['doctor'],
  ])('%s %s does not make a ledger', async (...verb) => {
    const { code, stderr } = await desk.run([...verb, '--ledger', 'none.db'])
    expect(code).toBe(3)
    expect(stderr).toMatch(/^error: There is no ledger at none\.db\./)
    expect(desk.has('none.db')).toBe(false)
    expect(desk.has('none.db-views')).toBe(false)
  })

  test('nor do they fill an empty file', async () => {
    desk.write('empty.db', '')
    expect((await desk.run(['list', '-l', 'empty.db'])).code).toBe(3)
    expect(desk.read('empty.db')).toHaveLength(0)
  })

  test('colour a terminal only, unless forced, and never when told not to', async () => {
    const colored = async (args: string[], env?: NodeJS.ProcessEnv): Promise<boolean> =>
      (await desk.run(args, env && { env })).stdout.includes('\u001b[')
    expect(await colored(['list'])).toBe(false)
    expect(await colored(['list'], { FORCE_COLOR: '1' })).toBe(true)
    expect(await colored(['list', '--no-color'], { FORCE_COLOR: '1' })).toBe(false)
    expect(await colored(['list', '--json'], { FORCE_COLOR: '1' })).toBe(false)
  })

  test('do not crash when nobody reads on', async () => {
    await desk.with((ledger) => ledger.enqueue(note, 'x'.repeat(900_000), { id: 'large' }))
    const started = desk.start(['history', 'large', '--json'])
    started.child.stdout.once('data', () => started.child.stdout.destroy())
    const { code, stderr } = await started.ended
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})
