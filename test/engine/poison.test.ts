/** A job that ends its whole process, started again each time it dies: it uses up its own lives, not its neighbours'. Real time. */
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Arena } from './rivals.js'
import { factsOf } from './support.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

const FARM = `
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const jobs = [
    defineJob({ type: 'good', async handle(n) { await pause(20); return n } }),
    defineJob({ type: 'bad', async handle() { await pause(10); process.exit(1) } }),
  ]
  const deeds = { start: () => ledger.start({ concurrency: 5 }) }
`

const good = defineJob<number, number>({ type: 'good' })
const bad = defineJob<null, unknown>({ type: 'bad' })

/** Runs the farm, anew each time it dies, until all these jobs have ended. How often it died. */
async function farm(arena: Arena, ended: Promise<unknown>): Promise<number> {
  const over = ended.then(() => 'over')
  for (let deaths = 0; ; deaths += 1) {
    const process = await arena.rival()
    const died = process.gone.then(() => 'died')
    await process.ask('start').catch(() => {})
    if ((await Promise.race([over, died])) === 'over') return deaths
  }
}

describe('a job that ends its process, among a hundred others', () => {
  it.each([
    ['first', 0],
    ['in the middle', 50],
    ['last', 100],
  ])('and enqueued %s, is the only one that ends as failed', GUARD, async (_, place) => {
    await using arena = await Arena.create(FARM)
    await using ledger = await openLedger({ url: arena.url, durability: 'normal' })
    const batch: Parameters<typeof ledger.enqueueMany>[0][number][] = Array.from({ length: 100 }, (_, n) => ({
      job: good,
      payload: n,
    }))
    batch.splice(place, 0, { job: bad, payload: null, options: { id: 'bad' } })
    const handles = await ledger.enqueueMany(batch)
    const ended = Promise.allSettled(handles.map((handle) => handle.result()))

    expect(await farm(arena, ended)).toBe(3)
    const outcomes = await ended
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(outcomes[place]).toMatchObject({ status: 'rejected', reason: { error: 'LeaseLost' } })
    expect(await factsOf(ledger, 'bad', 'Failed')).toMatchObject(Array(3).fill({ cause: 'lease-lost' }))
    for (const { id } of handles) {
      if (id === 'bad') continue
      const lost = (await factsOf(ledger, id, 'Failed')).length
      expect(lost).toBeLessThanOrEqual(1)
      expect(await ledger.status(id)).toMatchObject({ state: 'succeeded', attempt: 1, run: lost + 1 })
    }
  })
})
