import { beforeEach, expect, it } from 'vitest'
import { Outage } from '../../adapters/shared/outage.js'
import { type LogLine, listeningLogger } from '../engine/support.js'

let now: number
let lines: LogLine[]
let outage: Outage
beforeEach(() => {
  now = 1000
  lines = []
  outage = new Outage({ logger: listeningLogger(lines), place: 'there', now: () => now })
})

const error = new Error('refused')

it('of a store that works there is nothing to say, and nothing to wait for', () => {
  outage.works()
  expect([outage.pause, lines]).toEqual([0, []])
})

it('is told once when it begins and once when it is over', () => {
  outage.failed(error)
  now += 60
  outage.failed(error)
  now += 340
  outage.works()
  outage.works()
  expect(lines).toEqual([
    { level: 'warn', facts: { err: error, store: 'there' }, message: expect.stringMatching(/cannot be reached/) },
    { level: 'info', facts: { store: 'there', forMs: 400, tries: 2 }, message: expect.stringMatching(/again$/) },
  ])
  expect(outage.pause).toBe(0)
  outage.failed(error)
  expect(lines).toHaveLength(3)
})

it('makes each try wait twice as long as the one before, up to two seconds', () => {
  const pauses = Array.from({ length: 8 }, () => {
    outage.failed(error)
    const { pause } = outage
    now += pause
    return pause
  })
  expect(pauses).toEqual([50, 100, 200, 400, 800, 1600, 2000, 2000])
})

it('counts what fails at once as one try', () => {
  for (let n = 0; n < 5; n += 1) outage.failed(error)
  expect(outage.pause).toBe(50)
})
