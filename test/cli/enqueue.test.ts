import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CONFIG_JS, CONFIG_TS, Desk, PATIENCE } from './desk.js'

let desk: Desk
beforeAll(() => {
  desk = new Desk()
  desk.write('jobs.js', CONFIG_JS)
  desk.write('jobs.ts', CONFIG_TS)
  desk.write('package.json', '{ "type": "module" }')
  desk.write('payload.json', '{ "from": "a file" }')
})
afterAll(() => desk.remove())

describe('enqueue', { timeout: PATIENCE }, () => {
  test('prints the id on stdout and talks on stderr', async () => {
    const { code, stdout, stderr } = await desk.run(['enqueue', 'add', '{"a":1,"b":2}'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^[0-9a-f-]{36}\n$/)
    expect(stderr).toBe(`Job ${stdout.trim()} is queued.\n`)
  })

  test('says no more than asked for', async () => {
    expect(await desk.run(['enqueue', 'add', '--id', 'silent', '--quiet'])).toEqual({
      code: 0,
      stdout: 'silent\n',
      stderr: '',
    })
    expect(await desk.run(['--json', 'enqueue', 'add', '--id', 'silent'])).toEqual({
      code: 0,
      stdout: '{"id":"silent","outcome":"duplicate"}\n',
      stderr: '',
    })
  })

  test.each([
    ['an argument', ['[1,"two"]'], '', [1, 'two']],
    ['stdin', ['-'], '{"from":"stdin"}', { from: 'stdin' }],
    ['a file', ['--file', 'payload.json'], '', { from: 'a file' }],
    ['nowhere', [], '', {}],
  ])('takes the payload from %s', async (source, args, stdin, payload) => {
    const { code } = await desk.run(['enqueue', 'note', ...args, '--id', source], { stdin })
    expect(code).toBe(0)
    expect((await desk.status(source)).payload).toEqual(payload)
  })

  test('records every option', async () => {
    await desk.with((ledger) => ledger.cancel('silent'))
    const given = ['--queue', 'mail', '--channel', 'eu', '--name', 'Ada', '--priority', '-5', '--delay', '1h30m']
    const limits = ['--max-attempts', 'unlimited', '--timeout', 'none', '--backoff', 'min=2s,factor=3,jitter=none']
    const edges = ['--depends-on', 'silent:finished:run', '--depends-on', 'stdin:cancel']
    const { id } = await desk.json<{ id: string }>('enqueue', 'note', ...given, ...limits, ...edges)
    const [queued] = await desk.with((ledger) => ledger.history(id))
    expect(queued?.data).toEqual({
      type: 'note',
      queue: 'mail',
      channel: 'eu',
      name: 'Ada',
      priority: -5,
      runAt: expect.any(Number),
      maxAttempts: null,
      timeoutMs: null,
      backoff: { min: 2_000, max: 3_600_000, factor: 3, jitter: 0 },
      dependsOn: [
        { id: 'silent', on: 'finished', otherwise: 'run', now: 'failed' },
        { id: 'stdin', on: 'succeeded', otherwise: 'cancel' },
      ],
    })
  })

  test('takes an instant with its zone', async () => {
    const { id } = await desk.json<{ id: string }>('enqueue', 'note', '--run-at', '2100-01-01T02:00+02:00')
    const status = await desk.status(id)
    expect(status).toMatchObject({ state: 'scheduled', runAt: Date.UTC(2100, 0, 1) })
  })

  test('refuses an id that another job has, with 4', async () => {
    const { code, stdout, stderr } = await desk.run(['enqueue', 'note', '[2]', '--id', 'stdin'])
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' })
    expect(stderr).toBe('error: Job stdin exists already with another payload.\n')
  })

  test('names a dependency that is not there, with 3', async () => {
    const { code, stderr } = await desk.run(['enqueue', 'note', '--depends-on', 'nobody', '--json'])
    expect(code).toBe(3)
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'DEPENDENCY_UNKNOWN', exitCode: 3 } })
  })

  test.concurrent.each([
    ['no type', [], /missing required argument 'type'/],
    ['no JSON', ['note', '{a:1}'], /^error: Expected the payload to be JSON: .* quote it/],
    ['no JSON on stdin', ['note', '-'], /Expected stdin to be JSON/],
    ['two payloads', ['note', '1', '--file', 'payload.json'], /not both/],
    ['no such file', ['note', '--file', 'nowhere.json'], /Cannot read --file nowhere.json/],
    ['an odd number', ['note', '--priority', 'high'], /Expected `--priority` to be an integer, got "high"/],
    ['an odd duration', ['note', '--delay', '5 minutes'], /Expected `--delay` to be a duration/],
    ['an instant without a zone', ['note', '--run-at', '2100-01-01T00:00'], /Expected `--run-at` to be an instant/],
    ['two times', ['note', '--delay', '1s', '--run-at', '4102444800000'], /cannot be used with/],
    ['no attempts', ['note', '--max-attempts', '0'], /Expected `--max-attempts` to be an integer >= 1/],
    ['an odd backoff', ['note', '--backoff', '1s'], /Expected `--backoff` to be like min=1s/],
    ['a backoff upside down', ['note', '--backoff', 'min=1m,max=1s'], /`--backoff.max` to be at least/],
    ['a dependency without an id', ['note', '--depends-on', ':run'], /Expected `--depends-on` to be <id>/],
    ['an unknown flag', ['note', '--prio', '1'], /unknown option '--prio'/],
    ['an id that is too long', ['note', '--id', 'x'.repeat(201)], /Expected `id` to be a name of 1 to 200/],
  ])('refuses %s with 2', async (_, args, message) => {
    const { code, stdout, stderr } = await desk.run(['enqueue', ...args])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/See: jobledger --help/)
  })

  test('takes schema and defaults from a config', async () => {
    const { id } = await desk.json<{ id: string }>('enqueue', 'add', '{"a":1,"b":2}', '--config', 'jobs.ts')
    expect(await desk.status(id)).toMatchObject({ queue: 'sums', maxAttempts: 3 })
    const refused = await desk.run(['enqueue', 'add', '{"a":1}', '--config', 'jobs.ts'])
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/Expected `payload.b` to be as its schema/),
    })
    const unknown = await desk.run(['enqueue', 'multiply', '--config', 'jobs.ts'])
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringMatching(/no job type "multiply", only: add/) })
  })

  test('--wait gives up with 6 and says for which job', async () => {
    const { code, stdout, stderr } = await desk.run(['enqueue', 'note', '--wait', '1ms', '--id', 'late', '--json'])
    expect({ code, stdout }).toEqual({ code: 6, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'WAIT_TIMEOUT', jobId: 'late' } })
  })

  test('finds the ledger by flag, then by environment, then where it always is', async () => {
    const env = { JOBLEDGER_URL: 'sqlite:./by-env.db' }
    await desk.run(['enqueue', 'note', '--id', 'e'], { env })
    await desk.run(['enqueue', 'note', '--id', 'f', '--ledger', 'by-flag.db'], { env })
    expect((await desk.run(['status', 'e', '-l', './by-env.db'])).code).toBe(0)
    expect((await desk.run(['status', 'f', '-l', `sqlite://${desk.path('by-flag.db')}`])).code).toBe(0)
    expect((await desk.run(['status', 'e'])).code).toBe(3)
  })

  test.each([
    ['memory:', 2, /ends with its process/],
    ['postgres://localhost/x', 2, /Expected `url` to be/],
    ['no/such/folder.db', 1, /there is no directory/],
    ['payload.json', 5, /expected a jobledger log/],
  ])('--ledger %s ends with %i', async (ledger, expected, message) => {
    const { code, stderr } = await desk.run(['enqueue', 'note', '--ledger', ledger])
    expect(stderr).toMatch(message)
    expect(code).toBe(expected)
  })
})
