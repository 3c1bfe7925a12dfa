/** A queue is paused while processes of their own work on it. Real time. */
import { expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import type { RecordedEvent } from '../../domain/event.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Arena } from './rivals.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

const WORKERS = `
  const brief = defineJob({ type: 'brief', queue: 'q', handle: () => new Promise((resolve) => setTimeout(resolve, 2)) })
  /** Blocks its process until a file is there: nothing else happens in it, and it answers nobody. */
  const block = defineJob({
    type: 'block',
    queue: 'block',
    handle: () => {
      say('blocked')
      for (;;) if (existsSync(folder + '/go')) return
    },
  })
  const jobs = [brief, block]
  const deeds = {
    start: (queues) => ledger.start({ concurrency: 20, queues }),
    enqueue: (count) =>
      ledger.enqueueMany(Array.from({ length: count }, () => ({ job: brief, payload: null }))).then(() => true),
  }
`
const brief = defineJob({ type: 'brief', queue: 'q' })
const block = defineJob({ type: 'block', queue: 'block' })

it(
  'from the moment a pause has settled no process leases from the queue, and one that is killed is not waited for',
  GUARD,
  async () => {
    await using arena = await Arena.create(WORKERS)
    await using ledger = await openLedger({ url: arena.url, durability: 'normal', jobs: [brief, block] })
    const log: RecordedEvent[] = []
    ledger.events$.subscribe((event) => void log.push(event))
    const [victim, ...others] = await Promise.all([arena.rival(), arena.rival(), arena.rival()])
    await Promise.all(others.map((rival) => rival.ask('start', ['q'])))
    await victim.ask('start', ['q', 'block'])
    await Promise.all([...others, victim].map((rival) => rival.ask('enqueue', 200)))
    const blocked = victim.heard('blocked')
    await ledger.enqueue(block, null)
    await blocked
    const settled = { yet: false }
    const pausing = ledger.queues.pause('q').then(() => {
      settled.yet = true
    })
    const answered = async (): Promise<number> =>
      log.filter(({ type, data }) => type === 'WorkerBeat' && 'position' in data).length
    while ((await answered()) < 2) await new Promise((resolve) => setTimeout(resolve, 5))
    // Two of three have answered; the third cannot.
    expect(settled.yet).toBe(false)
    await victim.kill()
    await pausing
    const { length } = log
    await Promise.all(others.map((rival) => rival.ask('enqueue', 50)))
    // What runs comes to its end; nothing more begins.
    while ((await ledger.queues.stats()).q?.running !== 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const inQueue = new Set(
      log
        .filter(({ type, data }) => type === 'Queued' && (data as { queue: string }).queue === 'q')
        .map(({ stream }) => stream),
    )
    const leasesSince = (from: number): RecordedEvent[] =>
      log.slice(from).filter(({ type, stream }) => type === 'Leased' && inQueue.has(stream))
    expect(leasesSince(length)).toEqual([])
    expect((await ledger.queues.stats()).q).toMatchObject({ paused: true, running: 0 })
    await ledger.queues.resume('q')
    while ((await ledger.queues.stats()).q?.succeeded !== 700) await new Promise((resolve) => setTimeout(resolve, 5))
    const finished = log.filter(({ type, stream }) => type === 'Finished' && inQueue.has(stream))
    expect(new Set(finished.map(({ stream }) => stream)).size).toBe(700)
    expect(finished).toHaveLength(700)
  },
)
