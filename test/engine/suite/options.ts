import { describe, expect, it } from 'vitest'
import type { Ledger } from '../../../runtime/ledger.js'
import type { CancelOptions, CloseOptions, LedgerOptions } from '../../../runtime/options.js'
import type { ListFilter } from '../../../runtime/read/listing.js'
import type { StartOptions } from '../../../runtime/start-options.js'
import type { JobDefaults } from '../../../runtime/work/run/definition.js'
import { defineJob } from '../../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../../runtime/write/contract.js'
import type { Backend } from '../support.js'
import { isEmpty, rejection, World } from '../support.js'

/** The option at fault, what was given, what was expected instead, and how what was given is shown. */
type Row = readonly [option: string, given: unknown, expected: RegExp, received: string]

const job = defineJob({ type: 'job', handle: (_: unknown) => {} })
const DURATION = /^a duration/
const long = 'x'.repeat(201)

const ENQUEUE: readonly Row[] = [
  ['', 5, /object/, '5'],
  ['.prio', { prio: 1 }, /^one of id, /, '"prio"'],
  ['.id', { id: '' }, /1 to 200 char/, '""'],
  ['.id', { id: long }, /1 to 200 char/, `"${'x'.repeat(57)}..."`],
  ['.id', { id: 7 }, /1 to 200 char/, '7'],
  ['.id', { id: 'a\udc00' }, /well-formed/, '"a\\udc00"'],
  ['.queue', { queue: null }, /at most 200 char/, 'null'],
  ['.queue', { queue: long }, /at most 200 char/, `"${'x'.repeat(57)}..."`],
  ['.channel', { channel: 1 }, /at most 200 char/, '1'],
  ['.name', { name: '' }, /1 to 200 char/, '""'],
  ['.priority', { priority: 1.5 }, /integer/, '1.5'],
  ['.priority', { priority: '1' }, /integer/, '"1"'],
  ['.priority', { priority: Number.NaN }, /integer/, 'NaN'],
  ['.runAt', { runAt: 'tomorrow' }, /instant/, '"tomorrow"'],
  ['.runAt', { runAt: '2026-01-01T00:00:00' }, /instant/, '"2026-01-01T00:00:00"'],
  ['.runAt', { runAt: new Date(Number.NaN) }, /instant/, 'an invalid Date'],
  ['.runAt', { runAt: -1 }, /instant/, '-1'],
  ['.runAt', { runAt: null }, /instant/, 'null'],
  ['.delay', { delay: '5 minutes' }, DURATION, '"5 minutes"'],
  ['.delay', { delay: -1 }, DURATION, '-1'],
  ['.delay', { delay: '1s', runAt: 5 }, /runAt/, '"1s"'],
  ['.maxAttempts', { maxAttempts: 0 }, /integer >= 1/, '0'],
  ['.maxAttempts', { maxAttempts: Number.POSITIVE_INFINITY }, /null for unlimited/, 'Infinity'],
  ['.timeout', { timeout: 0 }, /above 0/, '0'],
  ['.timeout', { timeout: 'never' }, DURATION, '"never"'],
  ['.backoff', { backoff: 5 }, /object/, '5'],
  ['.backoff.mni', { backoff: { mni: '1s' } }, /^one of /, '"mni"'],
  ['.backoff.min', { backoff: { min: 'x' } }, DURATION, '"x"'],
  ['.backoff.max', { backoff: { min: '2s', max: '1s' } }, /at least/, '"1s"'],
  ['.backoff.factor', { backoff: { factor: 0.5 } }, />= 1/, '0.5'],
  ['.backoff.jitter', { backoff: { jitter: 2 } }, /fraction/, '2'],
  ['.backoff.jitter', { backoff: { jitter: 'some' } }, /"full"/, '"some"'],
  ['.dependsOn', { dependsOn: 'a' }, /array/, '"a"'],
  ['.dependsOn[1]', { dependsOn: ['a', null] }, /job id/, 'null'],
  ['.dependsOn[0].id', { dependsOn: [{}] }, /1 to 200 char/, 'undefined'],
  ['.dependsOn[0].on', { dependsOn: [{ id: 'a', on: 'failed' }] }, /"succeeded"/, '"failed"'],
  ['.dependsOn[0].otherwise', { dependsOn: [{ id: 'a', otherwise: 'skip' }] }, /"block"/, '"skip"'],
  ['.dependsOn[0].oherwise', { dependsOn: [{ id: 'a', oherwise: 'run' }] }, /^one of /, '"oherwise"'],
  ['.dependsOn[1].id', { dependsOn: ['a', { id: 'a' }] }, /only once/, '"a"'],
]

const START: readonly Row[] = [
  ['', null, /object/, 'null'],
  ['.workers', { workers: 3 }, /^one of queues, types/, '"workers"'],
  ['.concurrency', { concurrency: 0 }, /1 to 10000/, '0'],
  ['.concurrency', { concurrency: 10_001 }, /1 to 10000/, '10001'],
  ['.concurrency', { concurrency: '5' }, /integer/, '"5"'],
  ['.queues', { queues: [] }, /queue names/, 'an array of 0'],
  ['.queues', { queues: 'mail' }, /queue names/, '"mail"'],
  ['.queues', { queues: [1] }, /queue names/, 'an array of 1'],
  ['.lease', { lease: 'x' }, DURATION, '"x"'],
  ['.lease', { lease: 999 }, /at least 1 s/, '999'],
]

const CLOSE: readonly Row[] = [
  ['', null, /object/, 'null'],
  ['.wait', { wait: 1 }, /^one of drain/, '"wait"'],
  ['.drain', { drain: -1 }, DURATION, '-1'],
  ['.timeout', { timeout: {} }, DURATION, 'an empty object'],
  ['.drain', { drain: '2m', timeout: '1m' }, /at most `close.timeout`/, '"2m"'],
]

const LIST: readonly Row[] = [
  ['', null, /object/, 'null'],
  ['.status', { status: 'ready' }, /^one of state/, '"status"'],
  ['.state', { state: 'done' }, /^one of held/, '"done"'],
  ['.state', { state: ['ready', 'done'] }, /^one of held/, '"done"'],
  ['.state', { state: 5 }, /text/, '5'],
  ['.type', { type: [1] }, /texts/, 'an array of 1'],
  ['.queue', { queue: null }, /text/, 'null'],
  ['.channel', { channel: {} }, /text/, 'an empty object'],
  ['.limit', { limit: 0 }, /1 to 1000/, '0'],
  ['.limit', { limit: 1_001 }, /1 to 1000/, '1001'],
  ['.cursor', { cursor: 5 }, /cursor/, '5'],
  ['.cursor', { cursor: 'next' }, /cursor/, '"next"'],
]

const CANCEL: readonly Row[] = [
  ['', null, /object/, 'null'],
  ['.force', { force: true }, /^one of ifIdle/, '"force"'],
  ['.ifIdle', { ifIdle: 'yes' }, /true or false/, '"yes"'],
  ['.ifEnded', { ifEnded: 'throw' }, /"ignore"/, '"throw"'],
  ['.reason', { reason: 5 }, /text/, '5'],
]

const OPEN: readonly Row[] = [
  ['.job', { job: [] }, /^one of jobs/, '"job"'],
  ['.jobs', { jobs: 5 }, /array/, '5'],
  ['.jobs[1]', { jobs: [job, { type: 'x' }] }, /defineJob/, 'an object (type)'],
  ['.logger', { logger: console.log }, /a logger with/, 'function log'],
  ['.logger', { logger: { info: () => {} } }, /a logger with/, 'an object (info)'],
  ['.maxPayloadBytes', { maxPayloadBytes: 0 }, /integer >= 1/, '0'],
  ['.codeVersion', { codeVersion: 3 }, /text/, '3'],
]

const handle = (): void => {}
const DEFINE: readonly Row[] = [
  ['', null, /object/, 'null'],
  ['.typ', { type: 'x', typ: 'x', handle }, /^one of type/, '"typ"'],
  ['.type', { handle }, /1 to 200 char/, 'undefined'],
  ['.type', { type: '', handle }, /1 to 200 char/, '""'],
  ['.handle', { type: 'x', handle: 5 }, /function/, '5'],
  ['.handle', { type: 'x', handle: 'x' }, /function/, '"x"'],
  ['.handle', { type: 'x', handle: null }, /function/, 'null'],
  ['.schema', { type: 'x', handle, schema: {} }, /Standard Schema/, 'an empty object'],
  ['.schema', { type: 'x', handle, schema: null }, /Standard Schema/, 'null'],
  ['.queue', { type: 'x', handle, queue: 5 }, /200 char/, '5'],
  ['.priority', { type: 'x', handle, priority: Number.POSITIVE_INFINITY }, /integer/, 'Infinity'],
  ['.maxAttempts', { type: 'x', handle, maxAttempts: -1 }, /integer >= 1/, '-1'],
  ['.timeout', { type: 'x', handle, timeout: '0s' }, /above 0/, '"0s"'],
  ['.backoff', { type: 'x', handle, backoff: null }, /object/, 'null'],
]

async function expectFault(call: () => Promise<unknown>, prefix: string, [option, , expected, received]: Row) {
  const error = await rejection(call())
  const fault = { code: 'INVALID_OPTION', family: 'option', name: 'InvalidOption', option: prefix + option }
  expect(error).toMatchObject({ ...fault, expected: expect.stringMatching(expected), received })
}

export function optionsSuite(backend: Backend): void {
  const onLedger = (verb: string, rows: readonly Row[], call: (ledger: Ledger, given: never) => Promise<unknown>) => {
    it.each(rows)(`of ${verb}: %s when given %o`, async (...row) => {
      await using world = await World.create(backend)
      const ledger = await world.open({ jobs: [job] })
      await expectFault(() => call(ledger, row[1] as never), verb, row)
      expect(await isEmpty(ledger)).toBe(true)
      expect(await ledger.start()).toBe(true)
    })
  }

  describe('an option that is wrong is named, nothing is stored, and the ledger goes on:', () => {
    onLedger('enqueue', ENQUEUE, (ledger, given: EnqueueOptions) => ledger.enqueue(job, 1, given))
    onLedger('start', START, (ledger, given: StartOptions) => ledger.start(given))
    onLedger('close', CLOSE, (ledger, given: CloseOptions) => ledger.close(given))
    onLedger('list', LIST, (ledger, given: ListFilter) => ledger.list(given))
    onLedger('cancel', CANCEL, async (ledger, given: CancelOptions) => ledger.cancel('nobody', given))

    it.each(OPEN)('of openLedger: %s when given %o', async (...row) => {
      await using world = await World.create(backend)
      await expectFault(() => world.open(row[1] as LedgerOptions), 'openLedger', row)
    })

    it.each(DEFINE)('of defineJob: %s when given %o', async (...row) => {
      await expectFault(async () => defineJob(row[1] as JobDefaults<unknown> & { handle(): void }), 'defineJob', row)
    })

    it('of enqueue: something that is no definition', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      for (const odd of [undefined, null, 'job', { type: 'job' }]) {
        const error = await rejection(ledger.enqueue(odd as never, 1))
        expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'enqueue.job' })
      }
      expect(await isEmpty(ledger)).toBe(true)
    })

    it('two definitions of one type, at open', async () => {
      await using world = await World.create(backend)
      const twin = defineJob({ type: 'job', handle: () => {} })
      expect(await rejection(world.open({ jobs: [job, twin] }))).toMatchObject({ code: 'DUPLICATE_TYPE', type: 'job' })
    })

    it('no definitions at all, at start', async () => {
      await using world = await World.create(backend)
      const ledger = await world.open()
      expect(await rejection(ledger.start())).toMatchObject({ code: 'NO_HANDLERS' })
    })
  })
}
