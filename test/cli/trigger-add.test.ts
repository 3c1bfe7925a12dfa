import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AddedTrigger, TriggerInfo } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const HOUR = 3_600_000

const CONFIG_WITH_SCHEMA = `
import { defineJob } from 'jobledger'
import { z } from 'zod'

export default { jobs: [defineJob({ type: 'mail', queue: 'out', schema: z.object({ to: z.string() }), handle() {} })] }
`

let desk: Desk
beforeAll(() => {
  desk = new Desk()
  desk.write('mail.mjs', CONFIG_WITH_SCHEMA)
  desk.write('payload.json', '{ "from": "a file" }')
})
afterAll(() => desk.remove())

const show = (id: string): Promise<TriggerInfo & { readonly payload?: unknown }> => desk.json('triggers', 'show', id)
const added = (...args: string[]): Promise<AddedTrigger> => desk.json('triggers', 'add', ...args)

describe('triggers add', { timeout: PATIENCE }, () => {
  test('makes a ledger, prints the id on stdout and says on stderr when it fires', async () => {
    const { code, stdout, stderr } = await desk.run(['triggers', 'add', 'every', '1h', '--type', 'note'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/)
    expect(stderr).toMatch(new RegExp(`^Trigger ${stdout.trim()} is added: it fires \\S+Z \\(in (59m|1h).*\\)\\.\\n$`))
  })

  test('says of an instant that has passed what becomes of it', async () => {
    const said = async (kind: string, when: string, ...args: string[]): Promise<string> => {
      const { stderr } = await desk.run(['triggers', 'add', kind, when, '--type', 'note', '--id', 'past', ...args])
      return stderr
    }
    const past = '2020-01-01T00:00:00Z'
    expect(await said('at', past)).toBe('Trigger past is added: it is too late to fire, and counts as missed.\n')
    expect(await said('at', past, '--late', 'always')).toBe('Trigger past is changed: it fires at once.\n')
    const justNow = new Date(Date.now() - HOUR).toISOString()
    expect(await said('at', justNow)).toBe('Trigger past is changed: it fires at once.\n')
    expect(await said('at', justNow, '--late', '1m')).toMatch(/: it is too late to fire, /)
    await desk.run(['triggers', 'remove', 'past'])
  })

  test('may be said again', async () => {
    const nightly = ['cron', '0 3 * * *', '--type', 'report', '--id', 'nightly', '--timezone', 'Europe/Berlin']
    const { nextAt } = await added(...nightly).then(() => show('nightly'))
    expect(await added(...nightly)).toEqual({ id: 'nightly', outcome: 'unchanged', nextAt })
    expect((await desk.run(['triggers', 'add', ...nightly])).stderr).toMatch(/^Trigger nightly is as it was: it fires /)
    expect(await added(...nightly, '--payload', '[1]')).toMatchObject({ outcome: 'updated' })
    await desk.run(['triggers', 'pause', 'nightly'])
    expect(await desk.run(['triggers', 'add', ...nightly])).toMatchObject({
      stdout: 'nightly\n',
      stderr: 'Trigger nightly is changed, and paused.\n',
    })
    await desk.run(['triggers', 'remove', 'nightly'])
    expect(await added(...nightly)).toEqual({ id: 'nightly', outcome: 'created', nextAt })
  })

  test('records every option', async () => {
    const how = ['--misfire', 'skip', '--debounce', '30s', '--combine', 'drop', '--payload', '{"a":1}']
    const where = ['--queue', 'mail', '--channel', 'eu', '--name', 'All of it', '--priority', 'high', '--user', 'ada']
    const limits = [
      '--delay',
      '5m',
      '--held',
      '--max-attempts',
      'unlimited',
      '--timeout',
      'none',
      '--retain',
      'forever',
    ]
    const unique = ['--unique', '--unique-scope', 'channel', '--unique-window', '1h', '--on-duplicate', 'replace']
    const all = ['cron', '0 3 * * *', '--type', 'note', '--id', 'all']
    await added(...all, ...how, ...where, ...limits, ...unique)
    expect(await added(...all, ...unique, ...limits, ...where, ...how)).toMatchObject({ outcome: 'unchanged' })
    expect(await show('all')).toMatchObject({
      ...{ misfire: 'skip', debounce: { windowMs: 30_000, combine: 'drop' }, payload: { a: 1 } },
      options: {
        ...{ queue: 'mail', channel: 'eu', name: 'All of it', priority: -1, user: 'ada' },
        ...{ delay: 300_000, held: true, maxAttempts: null, timeout: null, retain: null },
        unique: { scope: 'channel', window: HOUR, onDuplicate: 'replace' },
      },
    })
  })

  test.each([
    ['every', '90000', { when: '90000ms' }],
    ['at', '4102444800000', { when: '2100-01-01T00:00:00.000Z', lateMs: 24 * HOUR }],
    ['weekly', 'on mon before 6am', { when: 'on mon before 6am', slot: expect.stringMatching(/ 1$/) }],
    ['event', 'orders:CREATED', { rules: [{ type: 'orders', verbs: ['CREATED'] }], queue: 'default' }],
  ])('%s %s', async (kind, when, info) => {
    await added(kind, when, '--type', 'note', '--id', kind)
    expect(await show(kind)).toMatchObject({ kind, payload: {}, ...info })
  })

  test('the payload from a file, from stdin, and none for a webhook', async () => {
    await added('in', '2h', '--type', 'note', '--id', 'in', '--file', 'payload.json', '--late', 'always')
    expect(await show('in')).toMatchObject({ payload: { from: 'a file' }, lateMs: null })
    await desk.run(['triggers', 'add', 'client', '--type', 'note', '--id', 'client', '--payload', '-'], {
      stdin: '"in"',
    })
    expect(await show('client')).toMatchObject({ payload: 'in' })
    const { stderr } = await desk.run(['triggers', 'add', 'webhook', '--type', 'note', '--id', 'webhook'])
    expect(stderr).toBe('Trigger webhook is added: it fires when it is called.\n')
    expect(await show('webhook')).not.toHaveProperty('payload')
  })

  test('by a config: schema, defaults and types', async () => {
    const mail = ['triggers', 'add', 'every', '1h', '--id', 'mail', '--config', 'mail.mjs', '--type']
    expect(await desk.run([...mail, 'mail'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('`payload.to`'),
    })
    expect(await desk.run([...mail, 'male'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no job type "male"'),
    })
    expect(await desk.run([...mail, 'mail', '--payload', '{"to":"ada"}'])).toMatchObject({ code: 0 })
    expect(await show('mail')).toMatchObject({ queue: 'out' })
  })

  test.each([
    [['cron', '0 3 * *'], /Expected `<when>` to be a cron expression of 5 or 6 fields/],
    [['cron'], /Expected `<when>` to be a cron expression/],
    [['cron', '0 3 * * *', 'x'], /too many arguments/],
    [['lunar', 'full'], /'lunar' is invalid for argument 'kind'/],
    [['cron', '0 3 * * *', '--timezone', 'Europe/Belin'], /Expected `--timezone` to be an IANA time zone/],
    [['every', '0'], /Expected `<when>` to be a duration above 0/],
    [['at', '2030-01-01'], /Expected `<when>` to be an instant/],
    [['daily', 'on mon'], /Expected `<when>` to be a phrase such as/],
    [['event', 'orders:CHANGED'], /Expected `<when>` to be rules .*there are three verbs/],
    [['webhook', 'now'], /Expected `<when>` to be absent/],
    [['every', '1h', '--late', '1h'], /Expected `--late` to be absent for a trigger of kind every/],
    [['every', '1h', '--late', 'soon'], /Expected `--late` to be a duration/],
    [['at', '4102444800000', '--misfire', 'all'], /Expected `--misfire` to be absent/],
    [['every', '1h', '--misfire', 'most'], /'most' is invalid/],
    [['every', '1h', '--debounce', '2d'], /Expected `--debounce` to be a duration above 0, at most 24h/],
    [['every', '1h', '--debounce', '1m', '--combine', 'append'], /Expected `--combine` to be/],
    [['every', '1h', '--combine', 'drop'], /--combine needs --debounce/],
    [['every', '1h', '--unique-scope', 'queue'], /--unique-scope needs --unique/],
    [['every', '1h', '--queue', 'x'.repeat(201)], /Expected `--queue` to be a text/],
    [['every', '1h', '--run-at', '4102444800000'], /unknown option '--run-at'/],
    [['every', '1h', '--id', ''], /Expected `--id` to be a text/],
    [['every', '1h', '--payload', '{'], /Expected the payload to be JSON/],
    [['every', '1h', '--payload', '1', '--file', 'payload.json'], /Give the payload itself or with --file/],
    [['every', '1h', '--reason', 'why'], /--reason needs --as/],
  ])('%j is refused with 2', async (args, message) => {
    const { code, stdout, stderr } = await desk.run(['triggers', 'add', ...args, '--type', 'note'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })

  test('needs a type', async () => {
    const { code, stderr } = await desk.run(['triggers', 'add', 'every', '1h'])
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/required option '--type <type>'/) })
  })
})

describe('triggers preview', { timeout: PATIENCE }, () => {
  test('is what add would come to, without a ledger', async () => {
    const preview = [
      'triggers',
      'preview',
      'daily',
      'before 5am',
      '--type',
      'note',
      '--channel',
      'eu',
      '-n',
      '2',
      '--json',
    ]
    const { code, stdout } = await desk.run([...preview, '--ledger', 'nowhere.db'])
    const { next } = JSON.parse(stdout) as { next: number[] }
    expect({ code, made: desk.has('nowhere.db') }).toEqual({ code: 0, made: false })
    await added('daily', 'before 5am', '--type', 'note', '--channel', 'eu', '--id', 'same')
    expect(await desk.json('triggers', 'next', 'same', '-n', '2')).toEqual({ id: 'same', next })
  })

  test('says what is wrong', async () => {
    expect(await desk.run(['triggers', 'preview', 'cron', '0 0 30 2 *'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Expected `<when>` to be a cron expression that some day fits'),
    })
    expect((await desk.run(['triggers', 'preview', 'event', 'orders'])).stderr).toBe('It does not fire by time.\n')
  })
})
