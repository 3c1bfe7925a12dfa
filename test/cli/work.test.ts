import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CONFIG_JS, CONFIG_TS, Desk, PATIENCE } from './desk.js'

let desk: Desk
beforeEach(() => {
  desk = new Desk()
  desk.write('package.json', '{ "type": "module" }')
  desk.write('jobs.js', CONFIG_JS)
  desk.write('jobs.ts', CONFIG_TS)
})
afterEach(() => desk.remove())

function messagesIn(stderr: string): string[] {
  return stderr
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { msg: string }).msg)
}

describe('work --until-empty', { timeout: PATIENCE }, () => {
  test('runs what is there and ends', async () => {
    await desk.enqueue('add', { a: 1, b: 2 }, { id: 'sum' })
    await desk.enqueue('fail', null, { id: 'bad', maxAttempts: 1 })
    await desk.enqueue('add', null, { id: 'later', delay: '1h' })
    const { code, stdout, stderr } = await desk.run(['work', '-c', 'jobs.js', '--until-empty', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      workerId: expect.any(String),
      runs: { succeeded: 1, failed: 1, interrupted: 0 },
    })
    expect(messagesIn(stderr)).toEqual(['worker started', 'attempt failed', 'worker stopped'])

    expect(await desk.run(['result', 'sum'])).toEqual({ code: 0, stdout: '3\n', stderr: '' })
    expect(await desk.json('result', 'sum')).toEqual({ id: 'sum', result: 3 })
    const failed = await desk.run(['result', 'bad'])
    expect(failed).toEqual({ code: 1, stdout: '', stderr: 'error: Job bad failed: RangeError: out of luck\n' })
    expect(await desk.run(['result', 'later', '--timeout', '1ms'])).toMatchObject({ code: 6 })
    const { stdout: history } = await desk.run(['history', 'bad'])
    expect(history).toMatch(
      / Failed +run 1 \(attempt 1\) failed: RangeError +out of luck\n.* Finished +failed for good: RangeE/,
    )
  })

  test('takes TypeScript, and leaves the jobs of others', async () => {
    await desk.run(['enqueue', 'add', '{"a":1,"b":2}', '--id', 'mine', '--config', 'jobs.ts'])
    await desk.enqueue('add', { a: 1, b: 2 }, { id: 'elsewhere' })
    await desk.enqueue('other', null, { id: 'unknown', queue: 'sums' })
    const { code, stdout } = await desk.run(['work', '--config', 'jobs.ts', '--once', '--log-level', 'silent'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(await desk.status('mine')).toMatchObject({ state: 'succeeded', result: 3 })
    expect(await desk.status('elsewhere')).toMatchObject({ state: 'ready' })
    expect(await desk.status('unknown')).toMatchObject({ state: 'ready' })

    await desk.run(['work', '--config', 'jobs.ts', '--once', '--queue', 'default'])
    expect(await desk.status('elsewhere')).toMatchObject({ state: 'succeeded' })
  })

  test('does not wait for types without a handler', async () => {
    desk.write('some.js', CONFIG_JS.replace('jobs: [', "jobs: [defineJob({ type: 'elsewhere' }),"))
    await desk.enqueue('elsewhere', null, { id: 'x' })
    const { code, stdout } = await desk.run(['work', '-c', 'some.js', '--until-empty', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ runs: { succeeded: 0, failed: 0, interrupted: 0 } })
    expect(await desk.status('x')).toMatchObject({ state: 'ready' })
  })

  test('counts a snooze as what it is', async () => {
    const snooze = "defineJob({ type: 'snooze', handle: (payload, ctx) => ctx.snooze('1h') }),"
    desk.write('snooze.js', CONFIG_JS.replace('jobs: [', `jobs: [${snooze}`))
    await desk.enqueue('snooze', null, { id: 'x' })
    const { stderr } = await desk.run(['work', '-c', 'snooze.js', '--until-empty', '--log-level', 'debug'])
    expect(messagesIn(stderr)).toEqual(['worker started', 'job snoozed', 'worker stopped'])
    expect(await desk.status('x')).toMatchObject({ state: 'scheduled', run: 1, attempt: 0 })
  })

  test('serves the queues of an array, and takes what holds for them from an object', async () => {
    desk.write('array.js', CONFIG_JS.replace('export default {', "export default { queues: ['one'],"))
    await desk.enqueue('add', { a: 1, b: 2 }, { id: 'in-one', queue: 'one' })
    await desk.enqueue('add', { a: 1, b: 2 }, { id: 'in-two', queue: 'two' })
    expect(await desk.run(['work', '-c', 'array.js', '--until-empty'])).toMatchObject({ code: 0 })
    expect(await desk.status('in-one')).toMatchObject({ state: 'succeeded' })
    expect(await desk.status('in-two')).toMatchObject({ state: 'ready' })

    const again =
      "defineJob({ type: 'again', async handle(n, ctx) { await ctx.ledger.enqueue(child, n, { queue: 'two', id: 'child' }) } }),"
    const child = "const child = defineJob({ type: 'child' })\nexport default { queues: { two: { maxAttempts: 7 } },"
    desk.write('object.js', CONFIG_JS.replace('export default {', child).replace('jobs: [', `jobs: [${again}`))
    await desk.enqueue('again', null, { id: 'parent' })
    expect(await desk.run(['work', '-c', 'object.js', '--until-empty'])).toMatchObject({ code: 0 })
    expect(await desk.status('in-two')).toMatchObject({ state: 'succeeded' })
    expect(await desk.status('child')).toMatchObject({ maxAttempts: 7, queue: 'two' })
  })

  test('has the pools that its config says, each with its own jobs, and waits for no others', async () => {
    const pools =
      "[{ name: 'sums', types: ['add'], concurrency: 2 }, { name: 'rest', queues: ['rest'], perType: { add: 0 } }]"
    desk.write('pools.js', CONFIG_JS.replace('export default {', `export default { report: null, pools: ${pools},`))
    await desk.enqueue('add', { a: 1, b: 2 }, { id: 'sum', queue: 'any' })
    await desk.enqueue('fail', null, { id: 'bad', queue: 'rest', maxAttempts: 1 })
    await desk.enqueue('fail', null, { id: 'left', queue: 'elsewhere' })
    const { code, stdout, stderr } = await desk.run(['work', '-c', 'pools.js', '--until-empty', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      workerIds: [expect.any(String), expect.any(String)],
      runs: { succeeded: 1, failed: 1, interrupted: 0 },
    })
    expect(messagesIn(stderr)).toEqual(['worker started', 'attempt failed', 'worker stopped'])
    expect(await desk.status('sum')).toMatchObject({ state: 'succeeded' })
    expect(await desk.status('left')).toMatchObject({ state: 'ready', run: 0 })
    const flagged = await desk.run(['work', '-c', 'pools.js', '--queue', 'rest'])
    expect(flagged).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/are of one pool, and pools\.js has `pools`/),
    })
  })

  test('keeps to the ceilings and overrides of its config, and does not wait for what it is not to run', async () => {
    const limits =
      "ceilings: { maxAttempts: 1 }, strategy: 'time', batch: 3, poll: '1s', overrides: { add: { concurrency: 0 } }"
    desk.write('limits.js', CONFIG_JS.replace('export default {', `export default { ${limits},`))
    await desk.enqueue('fail', null, { id: 'bad', maxAttempts: 9 })
    await desk.enqueue('add', { a: 1, b: 2 }, { id: 'sum' })
    expect(await desk.run(['work', '-c', 'limits.js', '--until-empty'])).toMatchObject({ code: 0 })
    expect(await desk.status('bad')).toMatchObject({ state: 'failed', attempt: 1, maxAttempts: 9 })
    expect(await desk.status('sum')).toMatchObject({ state: 'ready', run: 0 })
  })

  test('knows no other types, when strict', async () => {
    const again =
      "defineJob({ type: 'again', handle: (n, ctx) => ctx.ledger.enqueue(defineJob({ type: 'child' }), n) }),"
    const text = CONFIG_JS.replace('export default {', 'export default { strict: true,')
    desk.write('strict.js', text.replace('jobs: [', `jobs: [${again}`))
    await desk.enqueue('again', null, { id: 'parent', maxAttempts: 1 })
    expect(await desk.run(['work', '-c', 'strict.js', '--until-empty'])).toMatchObject({ code: 0 })
    expect(await desk.run(['result', 'parent'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/UnknownType/),
    })
  })

  test('finds the ledger that the config names', async () => {
    desk.write('named.mjs', CONFIG_JS.replace('export default {', "export default { url: 'sqlite:./named.db',"))
    await desk.run(['enqueue', 'add', '{"a":1,"b":2}', '--config', 'named.mjs', '--id', 'sum'])
    expect(await desk.run(['work', '-c', 'named.mjs', '--until-empty'])).toMatchObject({ code: 0 })
    expect(await desk.json('result', 'sum', '-l', 'named.db')).toEqual({ id: 'sum', result: 3 })
    expect(desk.has('jobledger.db')).toBe(false)
  })
})

describe('work', { timeout: PATIENCE }, () => {
  test('answers who waits in another process', async () => {
    const worker = desk.start(['work', '-c', 'jobs.js'])
    await worker.said('worker started')
    const waited = await desk.run(['enqueue', 'add', '{"a":20,"b":22}', '--wait', '1m'])
    expect(waited).toMatchObject({ code: 0, stdout: '42\n' })
    worker.signal('SIGINT')
    const { code, stdout, stderr } = await worker.ended
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(messagesIn(stderr)).toEqual(['worker started', 'asked to stop', 'worker stopped'])
  })

  test('removes what its config says', async () => {
    const retention = "retention: { every: '1s', rules: [{ name: 'sums', type: 'add', olderThan: 0 }] },"
    desk.write('keep.js', CONFIG_JS.replace('export default {', `export default { ${retention}`))
    await desk.enqueue('add', { a: 1, b: 2 }, { id: 'sum' })
    await desk.enqueue('fail', null, { id: 'bad', maxAttempts: 1 })
    const worker = desk.start(['work', '-c', 'keep.js'])
    await worker.said('retention has run')
    worker.signal('SIGTERM')
    expect(await worker.ended).toMatchObject({ code: 0 })
    expect(await desk.run(['result', 'sum'])).toMatchObject({
      code: 3,
      stderr: 'error: Job sum was removed; it had succeeded.\n',
    })
    expect(await desk.status('bad')).toMatchObject({ state: 'failed' })
  })

  test('lets running jobs end after SIGTERM', async () => {
    await desk.enqueue('linger', null, { id: 'x' })
    const worker = desk.start(['work', '-c', 'jobs.js'])
    await worker.said('linger begins')
    worker.signal('SIGTERM')
    const { code, stderr } = await worker.ended
    expect(code).toBe(0)
    expect(messagesIn(stderr)).toContain('draining')
    expect(await desk.status('x')).toMatchObject({ state: 'succeeded', result: 'in the end' })
  })

  test('gives back what does not end in time, and spends no attempt', async () => {
    await desk.enqueue('deaf', null, { id: 'x' })
    const worker = desk.start(['work', '-c', 'jobs.js', '--drain', '0', '--timeout', '10ms'])
    await worker.said('deaf begins')
    worker.signal('SIGTERM')
    expect(await worker.ended).toMatchObject({ code: 0 })
    expect(await desk.eventsOf('x')).toEqual(['Queued', 'Leased', 'Released'])
    expect(await desk.status('x')).toMatchObject({ state: 'ready', run: 1, attempt: 0 })
  })

  test('spends no attempts of its jobs, deploy after deploy', async () => {
    await desk.enqueue('deaf', null, { id: 'x', maxAttempts: 1 })
    for (let deploy = 0; deploy < 3; deploy += 1) {
      const worker = desk.start(['work', '-c', 'jobs.js', '--drain', '0', '--timeout', '10ms'])
      await worker.said('deaf begins')
      worker.signal('SIGTERM')
      expect(await worker.ended).toMatchObject({ code: 0 })
    }
    const deploy = ['Leased', 'Released']
    expect(await desk.eventsOf('x')).toEqual(['Queued', ...deploy, ...deploy, ...deploy])
    expect(await desk.status('x')).toMatchObject({ state: 'ready', run: 3, attempt: 0 })
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends at once after a second signal: %s, %i', async (signal, expected) => {
    await desk.enqueue('deaf', null, { id: 'x' })
    const worker = desk.start(['work', '-c', 'jobs.js'])
    await worker.said('deaf begins')
    worker.signal('SIGTERM')
    await worker.said('draining')
    worker.signal(signal)
    expect(await worker.ended).toMatchObject({ code: expected })
    // The next process finds its worker dead.
    await desk.json('stats')
    expect(await desk.eventsOf('x')).toEqual(['Queued', 'Leased', 'Failed', 'Retried'])
    expect(await desk.status('x')).toMatchObject({ state: 'ready', attempt: 0 })
  })

  test('stops a run that is cancelled', async () => {
    await desk.enqueue('pause', null, { id: 'x' })
    const worker = desk.start(['work', '-c', 'jobs.js', '--until-empty'])
    await worker.said('pause begins')
    const refused = await desk.run(['cancel', 'x', '--if-idle'])
    expect(refused).toEqual({ code: 4, stdout: '', stderr: 'error: Job x is running.\n' })
    expect(await desk.json('cancel', 'x', '--reason', 'enough')).toEqual({ jobs: [{ id: 'x', cancelled: true }] })
    expect(await worker.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('run interrupted') })
    expect(await desk.run(['result', 'x'])).toMatchObject({ code: 1, stderr: 'error: Job x was cancelled: enough.\n' })
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('who waits without a worker can leave: %s, %i', async (signal, expected) => {
    const waiting = desk.start(['enqueue', 'add', '--id', 'x', '--wait'])
    await waiting.said('is queued')
    waiting.signal(signal)
    expect(await waiting.ended).toMatchObject({ code: expected, stdout: '' })
    expect(await desk.status('x')).toMatchObject({ state: 'ready' })
  })
})

describe('a config file', { timeout: PATIENCE }, () => {
  const JOB = "import { defineJob } from 'jobledger'\nconst job = defineJob({ type: 'a', handle() {} })\n"

  test.each([
    ['is missing', undefined, /There is no config file .*bad\.ts\./],
    ['is no code', 'export default {', /bad\.ts cannot be loaded: /],
    ['throws', "throw new Error('no luck')", /bad\.ts cannot be loaded: no luck/],
    ['imports what is not there', "import 'nothing-of-that-name'", /bad\.ts cannot be loaded: .*nothing-of-that-name/],
    ['exports nothing', 'export const jobs = []', /bad\.ts: Expected `the default export` to be an object/],
    ['has no jobs', 'export default {}', /bad\.ts: Expected `jobs` to be an array of job definitions, got undefined/],
    ['has something else for a job', 'export default { jobs: [{}] }', /Expected `jobs\[0\]` to be made by defineJob/],
    ['has a job twice', `${JOB}export default { jobs: [job, job] }`, /bad\.ts: Two job definitions have the type "a"/],
    [
      'misspells',
      `${JOB}export default { jobs: [job], concurency: 1 }`,
      /Expected `concurency` to be one of jobs, url/,
    ],
    [
      'asks for no slots',
      `${JOB}export default { jobs: [job], concurrency: 0 }`,
      /`concurrency` to be an integer from 1/,
    ],
    ['is vague', `${JOB}export default { jobs: [job], lease: 'long' }`, /Expected `lease` to be a duration/],
    [
      'has pools of one name',
      `${JOB}export default { jobs: [job], pools: [{ name: 'p' }, { name: 'p' }] }`,
      /the name "p"/,
    ],
    [
      'has a pool and pools',
      `${JOB}export default { jobs: [job], batch: 1, pools: [{ name: 'p' }] }`,
      /`batch` to be absent/,
    ],
    [
      'has a pool for nobody',
      `${JOB}export default { jobs: [job], types: ['b'] }`,
      /`types` to be types that have a handler/,
    ],
    [
      'overrides too little',
      `${JOB}export default { jobs: [job], overrides: { a: { timeout: 0 } } }`,
      /`overrides\.a\.timeout` to/,
    ],
    [
      'starts by itself',
      `${JOB}export default { jobs: [job], autoStart: true }`,
      /Expected `autoStart` to be one of jobs/,
    ],
    ['names no ledger', `${JOB}export default { jobs: [job], url: 7 }`, /Expected `url` to be a text/],
    [
      'runs nothing',
      "import { defineJob } from 'jobledger'\nexport default { jobs: [defineJob({ type: 'a' })] }",
      /bad\.ts: none of its jobs has a handler/,
    ],
    ['is strict by a word', `${JOB}export default { jobs: [job], strict: 'yes' }`, /`strict` to be true or false/],
    [
      'names a queue',
      `${JOB}export default { jobs: [job], queues: 'mail' }`,
      /`queues` to be an array of names, or an obj/,
    ],
    ['serves no queue', `${JOB}export default { jobs: [job], queues: [] }`, /`queues` to be an array of queue names/],
    [
      'gives a queue what it does not have',
      `${JOB}export default { jobs: [job], queues: { mail: { speed: 1 } } }`,
      /Expected `queues\.mail\.speed` to be one of maxAttempts/,
    ],
    [
      'gives a queue too little',
      `${JOB}export default { jobs: [job], queues: { mail: { maxAttempts: 0 } } }`,
      /Expected `queues\.mail\.maxAttempts` to be an integer >= 1/,
    ],
    [
      'keeps odd rules',
      `${JOB}export default { jobs: [job], retention: { rules: [{ olderThan: '1d', state: 'lost' }] } }`,
      /bad\.ts: Expected `retention\.rules\[0\]\.state` to be /,
    ],
    [
      'keeps rules about nothing',
      `${JOB}export default { jobs: [job], retention: { rules: [{}] } }`,
      /bad\.ts: Expected `retention\.rules\[0\]` to be a rule with `olderThan`/,
    ],
    [
      'looks too often',
      `${JOB}export default { jobs: [job], retention: { every: 1, rules: [] } }`,
      /bad\.ts: Expected `retention\.every` to be a duration of at least 1 s/,
    ],
  ])('that %s is refused with 2', async (_, text, message) => {
    if (text !== undefined) desk.write('bad.ts', text)
    const { code, stdout, stderr } = await desk.run(['work', '--config', 'bad.ts', '--until-empty'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(desk.has('jobledger.db')).toBe(false)
  })

  test('yields to flags, which have to fit', async () => {
    const { code, stderr } = await desk.run(['work', '-c', 'jobs.js', '--drain', '2m', '--timeout', '1m'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/Expected `drain` to be at most/)
  })
})
