import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AddedTrigger, TriggerInfo, TriggerReport } from '../../index.js'
import { CONFIG_JS, Desk, PATIENCE } from './desk.js'

const HOUR = 3_600_000

type Shown = TriggerInfo & { readonly payload?: unknown; readonly state: TriggerReport; readonly jobs: object[] }

let desk: Desk
beforeAll(() => {
  desk = new Desk()
  desk.write('jobs.mjs', CONFIG_JS)
  desk.write('idle.mjs', CONFIG_JS.replace('export default {', 'export default { scheduler: false,'))
})
afterAll(() => desk.remove())

const show = (id: string): Promise<Shown> => desk.json<Shown>('triggers', 'show', id)
const added = (...args: string[]): Promise<AddedTrigger> => desk.json<AddedTrigger>('triggers', 'add', ...args)

describe('what fires', { timeout: PATIENCE }, () => {
  const firedOf = async (id: string): Promise<object[]> =>
    (await desk.json<{ jobs: object[] }>('list', '--trigger', id)).jobs

  test('no verb but work, and work only where it may', async () => {
    await added('in', '0', '--type', 'add', '--id', 'once', '--payload', '{"a":1,"b":2}')
    for (const verb of [['stats'], ['doctor'], ['enqueue', 'note'], ['triggers', 'list']]) await desk.run(verb)
    expect(await firedOf('once')).toEqual([])
    expect(await desk.run(['work', '-c', 'idle.mjs', '--until-empty'])).toMatchObject({ code: 0 })
    expect(await show('once')).toMatchObject({ state: { fired: 0 } })

    expect(await desk.run(['work', '-c', 'jobs.mjs', '--until-empty'])).toMatchObject({ code: 0 })
    expect(await firedOf('once')).toMatchObject([{ type: 'add', state: 'succeeded' }])
    const done = await desk.run(['triggers', 'show', 'once'])
    expect(done).toMatchObject({ code: 3, stdout: '', stderr: 'error: There is no trigger once.\n' })
  })

  test('one that is done is not begun again', async () => {
    const past = ['at', `${Date.now() - 1_000}`, '--type', 'add', '--id', 'past', '--payload', '{"a":1,"b":2}']
    expect(await added(...past)).toMatchObject({ outcome: 'created' })
    await desk.run(['work', '-c', 'jobs.mjs', '--until-empty'])
    expect(await desk.run(['triggers', 'add', ...past])).toEqual({
      code: 0,
      stdout: 'past\n',
      stderr: 'Trigger past is as it was, and done.\n',
    })
  })

  test('one that is too late, and nothing waits for it', async () => {
    await added('at', `${Date.now() - 2 * HOUR}`, '--type', 'add', '--id', 'late', '--late', '1h')
    expect(await desk.run(['work', '-c', 'jobs.mjs', '--until-empty'])).toMatchObject({ code: 0 })
    expect(await firedOf('late')).toEqual([])
    expect((await desk.run(['triggers', 'show', 'late'])).code).toBe(3)
  })

  test('one by hand', async () => {
    await added('every', '1h', '--type', 'fail', '--id', 'hand', '--payload', '{"by":"itself"}', '--unique-key', 'one')
    const { code, stdout, stderr } = await desk.run(['triggers', 'fire', 'hand', '--as', 'ada', '--reason', 'at last'])
    const jobId = stdout.trim()
    expect({ code, stderr }).toEqual({ code: 0, stderr: `Trigger hand has made job ${jobId}.\n` })
    const [queued] = await desk.with((ledger) => ledger.history(jobId))
    expect(queued).toMatchObject({ body: { by: 'itself' }, metadata: { actor: 'ada', reason: 'at last' } })
    const second = await desk.run(['triggers', 'fire', 'hand', '--json'])
    expect({ code: second.code, stdout: second.stdout }).toEqual({ code: 4, stdout: '' })
    expect(JSON.parse(second.stderr).error).toMatchObject({
      code: 'FIRING_MISSED',
      message: 'Trigger hand made no job: duplicate.',
    })
    await desk.run(['cancel', jobId])
    const { jobId: other } = await desk.json<{ jobId: string }>(
      'triggers',
      'fire',
      'hand',
      '--payload',
      '{"by":"hand"}',
    )
    expect((await desk.with((ledger) => ledger.status(other))).payload).toEqual({ by: 'hand' })
  })
})

describe('triggers list, show and next', { timeout: PATIENCE }, () => {
  beforeAll(async () => {
    const flags = ['--channel', 'asia', '--timezone', 'Asia/Tokyo', '--config', 'jobs.mjs']
    await added('cron', '@daily', '--type', 'fail', '--id', 'shown\u0007', ...flags)
    await added('webhook', '--type', 'fail', '--id', 'webhook')
    await desk.run(['triggers', 'fire', 'shown\u0007'])
    await desk.run(['work', '-c', 'jobs.mjs', '--until-empty'])
    await added('event', 'orders', '--type', 'index', '--channel', 'asia', '--id', 'index', '--debounce', '1m')
    await desk.run(['triggers', 'pause', 'index', '--reason', 'too\u0007 many'])
    await desk.with(({ triggers }) => triggers.fire('index', { payload: [1] }))
  })

  test('as a table', async () => {
    const { code, stdout, stderr } = await desk.run(['triggers', 'list', '--channel', 'asia'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [heading, first, second] = stdout.split('\n')
    expect(heading).toMatch(/^ID +KIND +TYPE +STATUS +LAST JOB +NEXT +WHEN$/)
    expect(first).toMatch(
      /^shown\\u0007 +cron +fail +active +failed +\S+T15:00:00.000Z \(in .*\) +@daily, Asia\/Tokyo$/,
    )
    expect(second).toMatch(/^index +event +index +paused +waiting +orders$/)
  })

  test('as what the library tells, and filtered', async () => {
    const { triggers } = await desk.json<{ triggers: Shown[] }>('triggers', 'list', '--channel', 'asia')
    const [first, second] = await desk.with((ledger) => ledger.triggers.list({ channel: 'asia' }))
    expect(triggers).toEqual([
      { ...first, state: expect.objectContaining({ fired: 1, status: 'failed' }) },
      { ...second, state: expect.objectContaining({ fired: 1, status: 'waiting', next: [] }) },
    ])
    const ids = async (...flags: string[]): Promise<string[]> =>
      (await desk.json<{ triggers: Shown[] }>('triggers', 'list', ...flags)).triggers.map(({ id }) => id)
    expect(await ids('--status', 'paused')).toEqual(['index'])
    expect(await ids('--kind', 'event', '--kind', 'webhook')).toEqual(['webhook', 'index'])
    expect(await ids('--type', 'index')).toEqual(['index'])
    expect(await desk.run(['triggers', 'list', '--type', 'unheard'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'No triggers.\n',
    })
    expect((await desk.run(['triggers', 'list', '--kind', 'lunar'])).code).toBe(2)
  })

  test('one in full', async () => {
    const { code, stdout, stderr } = await desk.run(['triggers', 'show', 'shown\u0007'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const line of [
      /^id +shown\\u0007$/,
      /^status +active$/,
      /^when +@daily, Asia\/Tokyo$/,
      /^options +\{"channel":"asia"\}$/,
      /^fired +1$/,
      /^last job +\S{36}, .*Z \(.*\), failed$/,
      /^last failure +\S{36}, .*, RangeError$/,
      /^by hand +\S{36}, /,
      /^next +\S+T15:00:00.000Z \(in /,
      /^ID +STATE +TYPE /,
      /^\S{36} +failed +fail +default\/asia +1\/1 /,
    ])
      expect(stdout).toMatch(new RegExp(line, 'm'))
    const paused = await desk.run(['triggers', 'show', 'index'])
    expect(paused.stdout).toMatch(/^status +paused, since .*: too\\u0007 many$/m)
    expect(paused.stdout).toMatch(/^debounce +1m, drop$/m)
    expect(paused.stdout).not.toMatch(/^next /m)
  })

  test('its newest jobs', async () => {
    await desk.with(({ triggers }) => triggers.fire('index'))
    expect((await show('index')).jobs).toHaveLength(2)
    const { jobs } = await desk.json<Shown>('triggers', 'show', 'index', '--jobs', '1')
    expect(jobs).toHaveLength(1)
    const tooMany = await desk.run(['triggers', 'show', 'index', '--jobs', '1001'])
    expect(tooMany).toMatchObject({ code: 2, stderr: expect.stringContaining('Expected `--jobs` to be an integer') })
  })

  test('when it fires next', async () => {
    const { next } = await desk.json<{ next: number[] }>('triggers', 'next', 'shown\u0007', '-n', '3')
    expect(next.map((at, index) => at - (next[0] as number) - index * 24 * HOUR)).toEqual([0, 0, 0])
    const { stdout } = await desk.run(['triggers', 'next', 'shown\u0007'])
    expect(stdout).toMatch(/^(\d{4}-\d\d-\d\dT15:00:00.000Z \(in .*\)\n){5}$/)
    const silent = { code: 0, stdout: '' }
    expect(await desk.run(['triggers', 'next', 'webhook'])).toEqual({
      ...silent,
      stderr: 'It does not fire by time.\n',
    })
    expect(await desk.run(['triggers', 'next', 'index'])).toEqual({ ...silent, stderr: 'Trigger index is paused.\n' })
    const tooMany = await desk.run(['triggers', 'next', 'shown\u0007', '--count', '1001'])
    expect(tooMany).toMatchObject({ code: 2, stderr: expect.stringContaining('Expected `--count` to be an integer') })
  })
})

describe('triggers pause, resume and remove', { timeout: PATIENCE }, () => {
  beforeAll(async () => {
    await added('every', '1h', '--type', 'note', '--id', 'one')
    await added('every', '1h', '--type', 'note', '--id', 'two')
  })

  test('each of several, and the exit code of the first refusal', async () => {
    const paused = await desk.run(['triggers', 'pause', 'one', 'none', 'two', '--reason', 'summer'])
    expect({ code: paused.code, stdout: paused.stdout }).toEqual({ code: 3, stdout: '' })
    expect(paused.stderr.split('\n')).toEqual([
      'Trigger one is paused.',
      'error: There is no trigger none.',
      'Trigger two is paused.',
      '',
    ])
    expect(await show('two')).toMatchObject({ status: 'paused', pauseReason: 'summer' })
    expect(await desk.json('triggers', 'resume', 'one', 'two', '--as', 'ada')).toEqual({
      triggers: [
        { id: 'one', resumed: true },
        { id: 'two', resumed: true },
      ],
    })
    expect(await show('two')).toMatchObject({ status: 'active', nextAt: expect.any(Number) })
    expect(await desk.run(['triggers', 'remove', 'one'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'Trigger one is removed.\n',
    })
    const gone = await desk.run(['triggers', 'remove', 'one', '--json'])
    expect(gone.code).toBe(3)
    expect(JSON.parse(gone.stdout)).toEqual({
      triggers: [
        { id: 'one', removed: false, error: { code: 'TRIGGER_UNKNOWN', message: 'There is no trigger one.' } },
      ],
    })
  })

  test.each([
    [['show', 'none'], 3, /There is no trigger none/],
    [['next', 'none'], 3, /There is no trigger none/],
    [['fire', 'none'], 3, /There is no trigger none/],
    [['list', '--ledger', 'nowhere.db'], 3, /There is no ledger at nowhere.db/],
    [['fire', 'two', '--reason', 'why'], 2, /--reason needs --as/],
    [['fire', 'two', '--payload', 'x'], 2, /Expected the payload to be JSON/],
    [['resume', 'two', '--reason', 'why'], 2, /--reason needs --as/],
    [['pause', ''], 2, /Expected `<id>` to be a text of 1 to 200 characters/],
    [['show'], 2, /missing required argument 'id'/],
    [['show', 'two', '--jobs', '0'], 2, /Expected `--jobs` to be an integer >= 1/],
    [['frobnicate'], 2, /unknown command 'frobnicate'/],
    [[], 2, /Usage: jobledger triggers/],
  ])('%j ends with %i', async (args, exitCode, message) => {
    const { code, stdout, stderr } = await desk.run(['triggers', ...args])
    expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' })
    expect(stderr).toMatch(message)
  })
})
