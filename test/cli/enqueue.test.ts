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

  test('records the key that it shares a limit with, and shows it', async () => {
    const given = ['--concurrency-key', 'tenant-7', '--concurrency-limit', '2', '--held']
    const { id } = await desk.json<{ id: string }>('enqueue', 'note', ...given)
    const [queued] = await desk.with((ledger) => ledger.history(id))
    expect(queued?.data).toMatchObject({ concurrency: { key: 'tenant-7', limit: 2 } })
    const { stdout } = await desk.run(['status', id])
    expect(stdout).toMatch(/^concurrency +tenant-7, 2 at once$/m)
    const { code, stderr } = await desk.run(['enqueue', 'note', '--concurrency-limit', '2'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('--concurrency-limit')])
  })

  test('records for whom, and how long it is kept', async () => {
    const policy = 'limit=3,expiration=1h,jitter=min'
    const trace = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    const given = ['--user', 'grace', '--manual', '--held', '--retain', '7d', '--backoff', policy]
    const { id } = await desk.json<{ id: string }>('enqueue', 'note', ...given, '--traceparent', trace)
    const [queued] = await desk.with((ledger) => ledger.history(id))
    expect(queued?.data).toMatchObject({
      held: true,
      manual: true,
      retainMs: 7 * 86_400_000,
      context: { user: 'grace', traceparent: trace },
      backoff: { jitter: 'min', limit: 3, expiration: 3_600_000 },
    })
    const kept = ['--retain', 'forever', '--backoff', 'limit=none,expiration=none', '--priority', 'critical']
    const forever = await desk.json<{ id: string }>('enqueue', 'note', ...kept)
    const [other] = await desk.with((ledger) => ledger.history(forever.id))
    expect(other?.data).toMatchObject({ retainMs: null, priority: -2 })
    expect(other?.data).not.toHaveProperty('backoff.limit')
  })

  test('says that a held one waits for somebody', async () => {
    const { stdout, stderr } = await desk.run(['enqueue', 'note', '--held', '--id', 'wait-for-me'])
    expect({ stdout, stderr }).toEqual({
      stdout: 'wait-for-me\n',
      stderr: 'Job wait-for-me is held until it is promoted.\n',
    })
    expect(await desk.status('wait-for-me')).toMatchObject({ state: 'held' })
  })

  test('records who did it, and why', async () => {
    await desk.run(['enqueue', 'note', '--id', 'by-ada', '--as', 'ada', '--reason', 'a customer called'])
    const [queued] = await desk.with((ledger) => ledger.history('by-ada'))
    expect(queued).toMatchObject({
      data: { context: { user: 'ada' } },
      metadata: { actor: 'ada', reason: 'a customer called' },
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
    [
      'an odd number',
      ['note', '--priority', 'urgent'],
      /Expected `--priority` to be an integer .* or one of critical,/,
    ],
    ['an odd duration', ['note', '--delay', '5 minutes'], /Expected `--delay` to be a duration/],
    ['an instant without a zone', ['note', '--run-at', '2100-01-01T00:00'], /Expected `--run-at` to be an instant/],
    ['two times', ['note', '--delay', '1s', '--run-at', '4102444800000'], /cannot be used with/],
    ['no attempts', ['note', '--max-attempts', '0'], /Expected `--max-attempts` to be an integer >= 1/],
    ['no time to run', ['note', '--timeout', '0'], /Expected `--timeout` to be a duration above 0/],
    ['an odd backoff', ['note', '--backoff', '1s'], /Expected `--backoff` to be like min=1s/],
    ['an odd jitter', ['note', '--backoff', 'jitter=some'], /Expected `--backoff.jitter` to be "full"/],
    [
      'no attempts by its backoff',
      ['note', '--backoff', 'limit=0'],
      /Expected `--backoff.limit` to be an integer >= 1/,
    ],
    ['a backoff upside down', ['note', '--backoff', 'min=1m,max=1s'], /`--backoff.max` to be at least/],
    ['a dependency without an id', ['note', '--depends-on', ':run'], /Expected `--depends-on` to be <id>/],
    ['an unknown flag', ['note', '--prio', '1'], /unknown option '--prio'/],
    ['an id that is too long', ['note', '--id', 'x'.repeat(201)], /Expected `--id` to be a text of 1 to 200/],
    ['a type without a name', [''], /Expected `type` to be a text of 1 to 200/],
    ['nobody', ['note', '--user', ''], /Expected `--user` to be a text of 1 to 200/],
    ['an actor without a name', ['note', '--as', ''], /Expected `--as` to be a text of 1 to 200/],
    ["nobody's reason", ['note', '--reason', 'because'], /--reason needs --as <user>/],
    ['an odd trace', ['note', '--traceparent', '00-1-2-3'], /Expected `--traceparent` to be like 00-<32 hex>/],
    ['to keep it for no time', ['note', '--retain', '0'], /Expected `--retain` to be a duration above 0/],
    ['a key twice', ['note', '--unique', '--unique-key', 'k'], /'--unique' cannot be used with .*'--unique-key/],
    ['a scope of nothing', ['note', '--unique-scope', 'queue'], /--unique-scope needs --unique or --unique-key/],
    ['a window of nothing', ['note', '--unique-window', '1h'], /--unique-window needs --unique or --unique-key/],
    ['a duplicate of nothing', ['note', '--on-duplicate', 'keep'], /--on-duplicate needs --unique or --unique-key/],
    ['an odd scope', ['note', '--unique', '--unique-scope', 'world'], /choices are type, queue, channel, ledger/],
    ['an odd duplicate', ['note', '--unique', '--on-duplicate', 'merge'], /Allowed choices are keep, replace/],
    ['no window', ['note', '--unique', '--unique-window', '0'], /`--unique-window` to be a duration above 0/],
  ])('refuses %s with 2, and makes no ledger for it', async (_, args, message) => {
    const { code, stdout, stderr } = await desk.run(['enqueue', ...args, '--ledger', 'refused.db'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/^error: .*\nSee: jobledger --help.*\n$/)
    expect(desk.has('refused.db')).toBe(false)
  })

  test('takes what holds for a queue from a config, which may know no other types', async () => {
    const text = CONFIG_JS.replace(
      'export default {',
      'export default { strict: true, queues: { slow: { maxAttempts: 2 } },',
    )
    desk.write('queues.js', text)
    const { id } = await desk.json<{ id: string }>('enqueue', 'add', '--queue', 'slow', '--config', 'queues.js')
    expect(await desk.status(id)).toMatchObject({ queue: 'slow', maxAttempts: 2 })
    const { code, stderr } = await desk.run(['enqueue', 'note', '--config', 'queues.js'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/defines no job type "note"/)
  })

  test('records nothing that the type of a config does not want', async () => {
    const before = "before({ a }) { if (a < 0) throw new RangeError('below zero'); return a !== 0 },"
    desk.write('choosy.js', CONFIG_JS.replace("type: 'add',", `type: 'add', ${before}`))
    const enqueue = (payload: string, ...flags: readonly string[]) =>
      desk.run(['enqueue', 'add', payload, '--config', 'choosy.js', ...flags])
    const told = 'Its type wants no such job: nothing was enqueued.\n'
    expect(await enqueue('{"a":0}')).toEqual({ code: 0, stdout: '', stderr: told })
    const asJson = await enqueue('{"a":0}', '--id', 'zero', '--json')
    expect(asJson).toEqual({ code: 0, stdout: '{"id":"zero","outcome":"skipped"}\n', stderr: '' })
    expect(await enqueue('{"a":0}', '--wait')).toMatchObject({ code: 1, stderr: expect.stringMatching(/was skipped/) })
    const refused = await enqueue('{"a":-1}')
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/refuses .*below zero/) })
    expect(await desk.run(['status', 'zero'])).toMatchObject({ code: 3 })
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
    ['redis://localhost/x', 2, /Expected `url` to be/],
    ['no/such/folder.db', 1, /there is no directory/],
    ['payload.json', 5, /expected a jobledger log/],
  ])('--ledger %s ends with %i', async (ledger, expected, message) => {
    const { code, stderr } = await desk.run(['enqueue', 'note', '--ledger', ledger])
    expect(stderr).toMatch(message)
    expect(code).toBe(expected)
  })
})

describe('enqueue of what may be there once only', { timeout: PATIENCE }, () => {
  test('prints the id that holds the key, and says so', async () => {
    const key = ['--unique-key', 'repo-7']
    expect((await desk.run(['enqueue', 'index', '1', '--id', 'first', ...key])).stderr).toBe('Job first is queued.\n')
    expect(await desk.run(['enqueue', 'index', '2', ...key])).toEqual({
      code: 0,
      stdout: 'first\n',
      stderr: 'Job first holds the key repo-7 already: nothing was enqueued.\n',
    })
    expect(await desk.run(['enqueue', 'index', '3', ...key, '--on-duplicate', 'replace'])).toEqual({
      code: 0,
      stdout: 'first\n',
      stderr: 'Job first holds the key repo-7 already and waits: it has taken over what is new.\n',
    })
    expect(await desk.status('first')).toMatchObject({ payload: 3 })
    expect(await desk.json('enqueue', 'index', '3', ...key, '--on-duplicate', 'keep')).toEqual({
      id: 'first',
      outcome: 'duplicate',
    })
  })

  test('by its payload, its scope and its window', async () => {
    const flags = ['--queue', 'one', '--unique', '--unique-scope', 'queue', '--unique-window', '1h']
    const { id } = await desk.json<{ id: string }>('enqueue', 'index', '{"a":1}', ...flags)
    expect(await desk.run(['enqueue', 'other', '{"a":1}', ...flags])).toMatchObject({
      stdout: `${id}\n`,
      stderr: `Job ${id} has this payload already: nothing was enqueued.\n`,
    })
    expect(await desk.json('enqueue', 'index', '{"a":2}', ...flags)).toMatchObject({ outcome: 'created' })
    await desk.with((ledger) => ledger.cancel(id))
    // Within its window the key is held, whatever becomes of the job.
    expect(await desk.json('enqueue', 'index', '{"a":1}', ...flags)).toEqual({ id, outcome: 'duplicate' })
  })
})
