/** A cron of every second, in four processes on one file that are killed one after the other. Real time. */
import { expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import type { RecordedEvent } from '../../domain/event.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Rival } from './rivals.js'
import { Arena } from './rivals.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

const SECONDS = 60
const KILL_EVERY = 12
const PROGRAM = `
  const jobs = [defineJob({ type: 'tick', handle: (_, { trigger }) => trigger.occurrence })]
  const deeds = { start: () => ledger.start() }
`
const tick = defineJob({ type: 'tick' })

interface Firing {
  readonly occurrence: number
  readonly jobId: string
}

it('no second of a minute is missed and none comes twice, though each process is killed in turn', GUARD, async () => {
  await using arena = await Arena.create(PROGRAM)
  const begin = async (): Promise<Rival> => {
    const rival = await arena.rival()
    await rival.ask('start')
    return rival
  }
  const rivals = await Promise.all([begin(), begin(), begin(), begin()])
  // Looks on, and fires nothing.
  await using ledger = await openLedger({ url: arena.url, durability: 'normal', scheduler: false })
  const firings: Firing[] = []
  const missed: RecordedEvent[] = []
  const finished = new Set<string>()
  const killed: Promise<unknown>[] = []
  const ended = new Promise<void>((resolve) => {
    ledger.events$.subscribe((event) => {
      if (event.type === 'TriggerMissed') missed.push(event)
      if (event.type === 'Finished') finished.add(event.stream)
      if (event.type === 'TriggerFired') {
        firings.push(event.data as Firing)
        // Whoever of the first four does the firing is among them.
        const victim = firings.length % KILL_EVERY === 0 ? rivals.shift() : undefined
        if (victim !== undefined) killed.push(victim.kill().then(begin))
      }
      if (finished.size >= SECONDS) resolve()
    })
  })
  await ledger.triggers.add({ id: 'ticks', kind: 'cron', when: '* * * * * *', job: tick, payload: null })
  await ended
  await Promise.all(killed)
  expect(killed).toHaveLength(4)
  const occurrences = firings.map(({ occurrence }) => occurrence)
  const first = occurrences[0] as number
  expect(occurrences).toEqual(occurrences.map((_, second) => first + second * 1_000))
  expect(missed).toEqual([])
  const jobs = await ledger.triggers.jobs('ticks', 1_000)
  expect(new Set(jobs.map(({ id }) => id))).toEqual(new Set(firings.map(({ jobId }) => jobId)))
})
