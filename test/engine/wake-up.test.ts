/** One process commits, another one that has nothing to do hears of it. Real time, printed and not judged: see the bench. */
import { expect, it } from 'vitest'
import { between, draws } from '../chaos/fleet/draws.js'
import { Arena } from './rivals.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

const CALLS = 100

const DEEDS = `
  import { setTimeout as sleep } from 'node:timers/promises'
  const began = []
  let isFull = () => {}
  const jobs = [defineJob({
    type: 'note',
    handle({ n, calls }) {
      began[n] = Date.now()
      if (began.filter(Boolean).length === calls) isFull()
    },
  })]
  const deeds = {
    start: () => ledger.start(),
    /** When each was called for, by number. */
    async call({ gaps }) {
      const at = []
      for (const [n, gap] of gaps.entries()) {
        await sleep(gap)
        at.push(Date.now())
        await ledger.enqueue(jobs[0], { n, calls: gaps.length })
      }
      return at
    },
    /** When each was run, once all have been. */
    heard: () => new Promise((resolve) => { isFull = () => resolve(began) }),
  }
`

it('every commit of another process wakes an idle worker', GUARD, async () => {
  const draw = draws(Date.now())
  await using arena = await Arena.create(DEEDS)
  const [caller, listener] = await Promise.all([arena.rival(), arena.rival()])
  await listener.ask('start')
  const heard = listener.ask<number[]>('heard')
  const gaps = Array.from({ length: CALLS }, () => between(draw, 1, 120))
  const called = await caller.ask<number[]>('call', { gaps })
  const ms = (await heard).map((at, n) => at - (called[n] as number)).sort((a, b) => a - b)
  expect(ms).toHaveLength(CALLS)
  console.log(`from enqueue to handler: p50 ${ms[CALLS / 2]} ms, p99 ${ms[CALLS - 2]} ms, at most ${ms[CALLS - 1]} ms`)
})
