/** What the logger that is handed in is told, and when. */
import { expect } from 'vitest'
import type { StartOptions } from '../../runtime/start-options.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { LogLine, World } from '../engine/support.js'
import { listeningLogger, rejection } from '../engine/support.js'
import { echo, standing } from './acts.js'
import { scenario } from './scenario.js'

const SO_FAR = 'jobs so far'
const saidSoFar = (world: World): object[] =>
  world.log.filter(({ message }) => message === SO_FAR).map(({ facts }) => facts)

scenario(
  [82],
  'the engine and the handlers write to the logger that was handed in, each line with what it is about',
  async (world) => {
    const talking = defineJob({
      type: 'talking',
      maxAttempts: 1,
      handle: (_: null, { log }) => {
        log.info({ file: 'a.txt' }, 'reading')
        log.error({ err: new Error('odd') }, 'it is odd')
        log.child({ part: 2 }).debug({}, 'details')
      },
    })
    const ledger = await world.open({ jobs: [talking] as readonly JobDefinition[] })
    await ledger.start({ pools: [{ name: 'p' }] })
    const { id, result } = await ledger.enqueue(talking, null)
    await result()
    const [worker] = await ledger.workers.list()
    const about = { pool: 'p', workerId: worker?.id, jobId: id, jobType: 'talking', run: 1 }
    const lines = world.log.filter(({ facts }) => facts.jobId === id)
    expect(lines).toEqual([
      { level: 'info', facts: { ...about, file: 'a.txt' }, message: 'reading' },
      { level: 'error', facts: { ...about, err: expect.any(Error) }, message: 'it is odd' },
      { level: 'debug', facts: { ...about, part: 2 }, message: 'details' },
    ])
    const picky = defineJob({ type: 'picky', onError: () => Promise.reject(new Error('no opinion')), handle: fails })
    await ledger.register(picky as JobDefinition)
    await rejection(world.pass((await ledger.enqueue(picky, null, { maxAttempts: 1 })).result()))
    expect(world.log).toContainEqual(
      expect.objectContaining({ level: 'error', message: 'onError or nextRun failed', facts: expect.anything() }),
    )
  },
)

const fails = (_: null): never => {
  throw new Error('no')
}

scenario([82], 'without a logger nothing is written anywhere', async (world) => {
  const written: string[] = []
  const [stdout, stderr] = [process.stdout.write, process.stderr.write]
  const catching = (text: unknown): boolean => {
    written.push(String(text))
    return true
  }
  process.stdout.write = catching as typeof stdout
  process.stderr.write = catching as typeof stderr
  try {
    const talking = defineJob({
      type: 'talking',
      maxAttempts: 1,
      handle: (_: null, { log }) => {
        log.error({}, 'not to be heard')
        throw new Error('nor this')
      },
    })
    const ledger = await world.open({ jobs: [talking] as readonly JobDefinition[], logger: undefined as never })
    await ledger.start()
    await rejection((await ledger.enqueue(talking, null)).result())
    await world.clock.advance('5m')
    await world.close(ledger)
  } finally {
    process.stdout.write = stdout
    process.stderr.write = stderr
  }
  expect(written).toEqual([])
})

scenario([82], 'a logger that is none is refused', async (world) => {
  for (const odd of [console.log, { info: () => {} }, 5, null]) {
    const error = await rejection(world.open({ logger: odd as never }))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'openLedger.logger' })
  }
  const lines: LogLine[] = []
  await world.open({ logger: listeningLogger(lines) })
})

scenario(
  [82, '004.41'],
  'once a minute it is told how many jobs were completed, run and wait, if anything has changed',
  async (world) => {
    const still = standing()
    const ledger = await world.open({ jobs: [echo, still.job] as readonly JobDefinition[] })
    await ledger.start()
    await world.clock.advance('10m')
    expect(saidSoFar(world)).toEqual([])
    for (let n = 0; n < 3; n += 1) await (await ledger.enqueue(echo, n)).result()
    await ledger.enqueue(still.job, null)
    await ledger.enqueue(echo, 'later', { delay: '1d' })
    await world.clock.advance('59s')
    expect(saidSoFar(world)).toEqual([])
    await world.clock.advance('1s')
    expect(saidSoFar(world)).toEqual([{ completed: 3, active: 1, waiting: 1 }])
    await world.clock.advance('10m')
    expect(saidSoFar(world)).toHaveLength(1)
    still.finish(0)
    await world.clock.advance('1m')
    expect(saidSoFar(world).slice(1)).toEqual([{ completed: 4, active: 0, waiting: 1 }])
    // What a replaced worker has done, and what was done before a stop, still counts.
    await ledger.register(defineJob({ type: 'late', handle: () => {} }) as JobDefinition)
    await (await ledger.enqueue(echo, 'more')).result()
    await world.clock.advance('1m')
    await ledger.stop()
    await world.clock.advance('5m')
    await ledger.start()
    await (await ledger.enqueue(echo, 'and more')).result()
    await world.clock.advance('1m')
    expect(saidSoFar(world).slice(2)).toEqual([
      { completed: 5, active: 0, waiting: 1 },
      { completed: 6, active: 0, waiting: 1 },
    ])
    expect(world.log.filter(({ message }) => message === SO_FAR).every(({ level }) => level === 'info')).toBe(true)
  },
)

scenario([82], 'how often is an option, and null is never', async (world) => {
  const said = async (report: StartOptions['report']): Promise<number> => {
    const before = saidSoFar(world).length
    const ledger = await world.open({ jobs: [echo] })
    await ledger.start({ report: report ?? null })
    for (let n = 0; n < 10; n += 1) {
      await (await ledger.enqueue(echo, n)).result()
      await world.clock.advance('1s')
    }
    await world.close(ledger)
    return saidSoFar(world).length - before
  }
  expect(await said('1s')).toBe(10)
  expect(await said('5s')).toBe(2)
  expect(await said(null)).toBe(0)
})
