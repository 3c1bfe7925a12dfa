/** Jobs that have ended, for scenarios about what becomes of them. */
import type { Duration } from '../../domain/duration.js'
import type { Outcome } from '../../domain/job/evolve.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { LedgerOptions } from '../../runtime/options.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { EnqueueOptions } from '../../runtime/write/contract.js'
import type { World } from '../engine/support.js'

const handle = (payload: string): string => {
  if (payload === 'failed') throw new Error('as told')
  return payload
}

/** Ends as its payload says; whatever is neither `failed` nor `cancelled` is what it returns. */
export const work: JobDefinition<string, string> = defineJob({ type: 'work', maxAttempts: 1, handle })
export const other: JobDefinition<string, string> = defineJob({ type: 'other', maxAttempts: 1, handle })

export const TYPES: readonly JobDefinition[] = [work, other] as readonly JobDefinition[]

/** A ledger that runs them. */
export async function running(world: World, options: LedgerOptions = {}): Promise<Ledger> {
  const ledger = await world.open({ jobs: TYPES, ...options })
  await ledger.start()
  return ledger
}

/** Enqueues a job and lets it end. */
export async function end(
  ledger: Ledger,
  id: string,
  outcome: Outcome = 'succeeded',
  options: EnqueueOptions & { readonly type?: JobDefinition<string, string> } = {},
): Promise<void> {
  const { type = work, ...given } = options
  if (outcome === 'cancelled') {
    await ledger.enqueue(type, outcome, { id, held: true, ...given })
    await ledger.cancel(id)
    return
  }
  await ledger.enqueue(type, outcome, { id, ...given })
  await ledger.result(id).catch(() => {})
}

/** One after the other, with this much time after each. */
export async function endAll(world: World, ledger: Ledger, ids: readonly string[], apart: Duration): Promise<void> {
  for (const id of ids) {
    await end(ledger, id)
    await world.clock.advance(apart)
  }
}

/** Ids of all jobs there are, in order of id. */
export async function idsIn(ledger: Ledger): Promise<string[]> {
  const { jobs } = await ledger.list({ limit: 1_000 })
  return jobs.map(({ id }) => id).sort()
}
