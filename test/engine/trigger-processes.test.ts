/** A cron of every second, in four processes on one file, one of which is killed. Real time. */
import { expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import type { RecordedEvent } from '../../domain/event.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Arena } from './rivals.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

const SECONDS = 60
const PROGRAM = `
  const jobs = [defineJob({ type: 'tick', handle: (_, { trigger }) => trigger.occurrence })]
  const deeds = { start: () => ledger.start() }
`
const tick = defineJob({ type: 'tick' })

interface Firing {
  readonly occurrence: number
  readonly jobId: string
}

it('no second of a minute is missed and none comes twice, though the process that fires is killed', GUARD, async () => {
  await using arena = await Arena.create(PROGRAM)
  const rivals = await Promise.all(Array.from({ length: 4 }, () => arena.rival()))
  for (const rival of rivals) await rival.ask('start')
  // Looks on, and fires nothing.
  await using ledger = await openLedger({ url: arena.url, durability: 'normal', scheduler: false })
  const firings: Firing[] = []
  const finished = new Set<string>()
  let missed = 0
  const killed: Promise<void>[] = []
  const ended = new Promise<void>((resolve) => {
    ledger.events$.subscribe(({ type, stream, data }: RecordedEvent) => {
      if (type === 'TriggerFired') firings.push(data as Firing)
      if (type === 'TriggerMissed') missed += 1
      if (type === 'Finished') finished.add(stream.slice('job-'.length))
      // In the middle of it, two of four in turn: whichever of them comes first in the ranking.
      if (type === 'TriggerFired' && firings.length === SECONDS / 3) killed.push((rivals[0] as (typeof rivals)[0]).kill())
      if (type === 'TriggerFired' && firings.length === SECONDS / 2) killed.push((rivals[1] as (typeof rivals)[0]).kill())
      if (finished.size >= SECONDS) resolve()
    })
  })
  await ledger.triggers.add({ id: 'ticks', kind: 'cron', when: '* * * * * *', job: tick, payload: null })
  await ended
  await Promise.all(killed)
  const occurrences = firings.map(({ occurrence }) => occurrence)
  const first = occurrences[0] as number
  expect(occurrences).toEqual(occurrences.map((_, second) => first + second * 1_000))
  expect(new Set(firings.map(({ jobId }) => jobId)).size).toBe(firings.length)
  expect(killed).toHaveLength(2)
  expect(missed).toBe(0)
  const jobs = await ledger.triggers.jobs('ticks', 1_000)
  expect(jobs.length).toBe(firings.length)
})
