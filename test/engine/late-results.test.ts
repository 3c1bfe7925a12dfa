/** A worker that has not heard yet that its lease was taken back: the log decides, not what it believes. */
import { describe, expect, it } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { RunEnd } from '../../runtime/work/run/hooks.js'
import type { Gate, LogLine } from './support.js'
import { gate, keptOpen, ledgerOn, listeningLogger, rejection, typesOf } from './support.js'

/** The same log; once it is deaf, its subscribers hear nothing more until it hears again. */
function hardOfHearing(store: EventStore): { readonly store: EventStore; deafen(): void; hear(): void } {
  let quiet: Gate | undefined
  const deaf = new Proxy(store, {
    get(target, key) {
      if (key !== 'subscribe') return Reflect.get(target, key) as unknown
      return async function* (options: Parameters<EventStore['subscribe']>[0]) {
        for await (const batch of target.subscribe(options)) {
          await quiet?.promise
          yield batch
        }
      }
    },
  })
  return {
    store: deaf,
    deafen: () => {
      quiet = gate()
    },
    hear: () => quiet?.open(),
  }
}

async function takenOver(): Promise<{
  readonly context: JobContext
  readonly end: (outcome: 'return' | 'throw') => void
  readonly log: LogLine[]
  readonly ends: RunEnd[]
  readonly history: () => Promise<string[]>
  readonly hear: () => void
  readonly close: () => Promise<void>
}> {
  const store = keptOpen(new MemoryEventStore())
  const { store: heard, deafen, hear } = hardOfHearing(store)
  const still = new VirtualClock()
  const passing = new VirtualClock()
  const log: LogLine[] = []
  const ends: RunEnd[] = []
  const started = gate<JobContext>()
  const ended = gate<'return' | 'throw'>()
  const slow = defineJob({
    type: 'slow',
    commit: (end) => void ends.push(end),
    handle: async (_: null, ctx: JobContext) => {
      started.open(ctx)
      if ((await ended.promise) === 'throw') throw new Error('late')
      return 'late'
    },
  })
  const late = await ledgerOn(heard, new MemoryViews(), still, { jobs: [slow], logger: listeningLogger(log) })
  await late.start()
  const { id } = await late.enqueue(slow, null)
  const context = await started.promise
  deafen()
  const other = defineJob({ type: 'slow', handle: (_: null) => 'in time' })
  const ledger = await ledgerOn(store, new MemoryViews(), passing, { jobs: [other] })
  await ledger.start()
  // A little longer than the lease and its grace: the job may be the silent runtime's to claim first.
  await passing.advance('37s')
  expect(await ledger.result(id)).toBe('in time')
  return {
    context,
    log,
    ends,
    hear,
    end: (outcome) => ended.open(outcome),
    history: () => typesOf(ledger, id),
    async close() {
      hear()
      await Promise.all([late.close(), ledger.close()])
    },
  }
}

const WHOLE = ['Queued', 'Leased', 'Failed', 'Retried', 'Leased', 'Finished']

describe('a worker that has not heard that its lease was taken back', () => {
  it.each(['return', 'throw'] as const)('is refused when its handler does %s', async (outcome) => {
    const { context, end, log, history, close } = await takenOver()
    expect(context.signal.aborted).toBe(false)
    end(outcome)
    await new VirtualClock().settle()
    expect(log).toMatchObject([
      {
        level: 'warn',
        message: 'outcome not recorded',
        facts: { jobId: context.id, run: 1, err: { code: 'LEASE_LOST' } },
      },
    ])
    expect(await history()).toEqual(WHOLE)
    await close()
  })

  it('tells its type what became of the run only when it has heard', async () => {
    const { context, end, ends, hear, close } = await takenOver()
    end('return')
    await new VirtualClock().settle()
    expect(ends).toEqual([])
    hear()
    await new VirtualClock().settle()
    // Another worker has ended the job since.
    expect(ends).toMatchObject([{ outcome: 'lost', final: true, error: { code: 'LEASE_LOST', jobId: context.id } }])
    await close()
  })

  it('is refused when it reports progress', async () => {
    const { context, end, history, close } = await takenOver()
    expect(await rejection(context.heartbeat(0.5))).toMatchObject({ code: 'LEASE_LOST', jobId: context.id })
    expect(await history()).toEqual(WHOLE)
    end('return')
    await close()
  })
})
