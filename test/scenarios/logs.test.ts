/** The lines that a handler writes, as somebody sees them who watches its job. */
import { expect } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { LogLine } from '../../runtime/work/run/log-relay.js'
import { gate, rejection } from '../engine/support.js'
import { scenario } from './scenario.js'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

scenario(
  [71],
  'every line of a run comes to whoever watches the job, at once, with its level, time and facts',
  async (world) => {
    const lines: LogLine[] = []
    const seen: number[] = []
    const job = defineJob({
      type: 'talking',
      handle: (_: null, ctx) => {
        for (const level of LEVELS) {
          ctx.log[level]({ level }, `a ${level}`)
          seen.push(lines.length)
        }
      },
    })
    const ledger = await world.open({ jobs: [job] })
    const watching = ledger.logs('a').subscribe((line) => void lines.push(line))
    await ledger.start()
    await (await ledger.enqueue(job, null, { id: 'a' })).result()
    watching.unsubscribe()
    const at = world.clock.now()
    expect(lines).toEqual(
      LEVELS.map((level) => ({ jobId: 'a', run: 1, at, level, message: `a ${level}`, facts: { level } })),
    )
    expect(seen).toEqual([1, 2, 3, 4, 5, 6])
  },
)

scenario(
  [71],
  'the bindings of loggers made from the handler’s own come along, the nearest word counts',
  async (world) => {
    const lines: LogLine[] = []
    const job = defineJob({
      type: 'talking',
      handle: (_: null, ctx) => {
        const step = ctx.log.child({ step: 1, unit: 'rows' })
        step.info({}, 'one')
        step.child({ step: 2 }).warn({ unit: 'pages' }, 'two')
        ctx.log.info({ alone: true }, 'three')
      },
    })
    const ledger = await world.open({ jobs: [job] })
    ledger.logs('a').subscribe((line) => void lines.push(line))
    await ledger.start()
    await (await ledger.enqueue(job, null, { id: 'a' })).result()
    expect(lines.map(({ message, facts }) => [message, facts])).toEqual([
      ['one', { step: 1, unit: 'rows' }],
      ['two', { step: 2, unit: 'pages' }],
      ['three', { alone: true }],
    ])
  },
)

scenario(
  [71],
  'the ledger’s own logger hears the same lines, bound to worker, job and run, watched or not',
  async (world) => {
    const job = defineJob({
      type: 'talking',
      handle: (_: null, ctx) => {
        ctx.log.child({ step: 1 }).info({ rows: 3 }, 'copied')
        return ctx.workerId
      },
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    for (const id of ['unwatched', 'watched']) {
      if (id === 'watched') ledger.logs(id).subscribe()
      const workerId = await (await ledger.enqueue(job, null, { id })).result()
      expect(world.log.filter(({ facts }) => facts.jobId === id)).toEqual([
        {
          level: 'info',
          message: 'copied',
          facts: { pool: 'default', workerId, jobId: id, jobType: 'talking', run: 1, step: 1, rows: 3 },
        },
      ])
    }
  },
)

scenario(
  [71],
  'nothing comes of other jobs, of what was said before, or after nobody listens any more',
  async (world) => {
    const lines: string[] = []
    const before = gate()
    const after = gate()
    const job = defineJob({
      type: 'talking',
      handle: async (_: null, ctx) => {
        ctx.log.info({}, `${ctx.id}: begins`)
        await before.promise
        ctx.log.info({}, `${ctx.id}: goes on`)
        await after.promise
        ctx.log.info({}, `${ctx.id}: ends`)
      },
    })
    const ledger = await world.open({ jobs: [job] })
    await ledger.start()
    const jobs = [await ledger.enqueue(job, null, { id: 'a' }), await ledger.enqueue(job, null, { id: 'b' })]
    await world.clock.settle()
    const watching = ledger.logs('a').subscribe(({ message }) => void lines.push(message))
    before.open()
    await world.clock.settle()
    watching.unsubscribe()
    after.open()
    await Promise.all(jobs.map((each) => each.result()))
    expect(lines).toEqual(['a: goes on'])
  },
)

scenario([71], 'several may watch one job, also before it is there, and over all of its runs', async (world) => {
  const seen: [string, number, string][] = []
  const job = defineJob({
    type: 'talking',
    backoff: { min: '10s', factor: 1, jitter: 'none' },
    handle: (_: null, ctx) => {
      ctx.log.info({}, `attempt ${ctx.attempt}`)
      if (ctx.attempt === 1) throw new Error('once')
    },
  })
  const ledger = await world.open({ jobs: [job] })
  for (const who of ['x', 'y']) {
    ledger.logs('a').subscribe(({ run, message }) => void seen.push([who, run, message]))
  }
  await ledger.start()
  await ledger.enqueue(job, null, { id: 'a' })
  await world.pass(ledger.result('a'))
  expect(seen).toEqual([
    ['x', 1, 'attempt 1'],
    ['y', 1, 'attempt 1'],
    ['x', 2, 'attempt 2'],
    ['y', 2, 'attempt 2'],
  ])
})

scenario([71], 'what onError says belongs to the run too', async (world) => {
  const lines: string[] = []
  const job = defineJob({
    type: 'talking',
    maxAttempts: 1,
    onError: (error, ctx) => {
      ctx.log.error({ err: error }, 'it went wrong')
      return undefined
    },
    handle: (_: null) => {
      throw new Error('bad')
    },
  })
  const ledger = await world.open({ jobs: [job] })
  ledger.logs('a').subscribe(({ message }) => void lines.push(message))
  await ledger.start()
  await ledger.enqueue(job, null, { id: 'a' })
  await rejection(ledger.result('a'))
  expect(lines).toEqual(['it went wrong'])
})

scenario(
  [71],
  'a run in another process is not heard: lines are handed on where they are written, and never stored',
  async (world) => {
    const heard: string[] = []
    const job = defineJob({ type: 'talking', handle: (_: null, ctx) => ctx.log.info({ secret: 'x' }, 'said') })
    const here = await world.open({ jobs: [job] })
    const there = await world.open()
    here.logs('a').subscribe(() => void heard.push('here'))
    there.logs('a').subscribe(() => void heard.push('there'))
    await here.start()
    await here.enqueue(job, null, { id: 'a' })
    await there.result('a')
    expect(heard).toEqual(['here'])
    expect(JSON.stringify(await there.history('a'))).not.toContain('said')
  },
)

scenario([71], 'an id that can be nobody’s is refused, and a closed ledger is watched by nobody', async (world) => {
  const ledger = await world.open()
  expect(() => ledger.logs('')).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', option: 'logs.id' }))
  await world.close(ledger)
  expect(() => ledger.logs('a')).toThrow(expect.objectContaining({ code: 'LEDGER_CLOSED' }))
})
