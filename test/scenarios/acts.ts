/** What the jobs of the scenarios do, and short ways to watch them. */
import type { Ledger } from '../../runtime/ledger.js'
import type { Ids } from '../../runtime/ports/ids.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefaults, JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { ConcurrencyOptions } from '../../runtime/write/limits.js'
import type { Gate } from '../engine/support.js'
import { factsOf, gate, next, randomIds, type World } from '../engine/support.js'

/** Ids whose random draws are these, the last one again and again. */
export function drawing(world: World, ...draws: readonly number[]): Ids {
  const ids = randomIds(world.clock)
  let taken = 0
  return {
    uuid: () => ids.uuid(),
    salt: () => ids.salt(),
    draw: () => draws[Math.min(taken++, draws.length - 1)] as number,
  }
}

/** A type whose every run throws what `thrown` makes. */
export function failing(
  thrown: (ctx: JobContext) => unknown = ({ run }) => new Error(`run ${run}`),
  more: Partial<JobDefaults<null>> = {},
): JobDefinition<null, never> {
  return defineJob({
    type: 'failing',
    backoff: { min: '10s', factor: 1, jitter: 'none' },
    ...more,
    handle: (_: null, ctx: JobContext): never => {
      throw thrown(ctx)
    },
  })
}

/** A type whose payload is what it returns. */
export const echo: JobDefinition<unknown, unknown> = defineJob({ type: 'echo', handle: (value: unknown) => value })

export interface Standing {
  readonly job: JobDefinition<unknown, unknown>
  /** The n-th run of all, from 0, once it has begun. */
  started(n: number): Promise<JobContext>
  /** How many have begun. */
  readonly count: number
  /** Ends the n-th run of all. */
  finish(n: number, result?: unknown): void
}

/** A type whose runs stand still until told to end. */
export function standing(
  type = 'standing',
  more: Partial<JobDefaults<unknown> & ConcurrencyOptions<unknown>> = {},
): Standing {
  const begun: Gate<JobContext>[] = []
  const ends: Gate<unknown>[] = []
  const at = <Value>(gates: Gate<Value>[], n: number): Gate<Value> => {
    while (gates.length <= n) gates.push(gate<Value>())
    return gates[n] as Gate<Value>
  }
  let count = 0
  const job = defineJob({
    type,
    ...more,
    handle: (_: unknown, ctx: JobContext) => {
      const n = count++
      at(begun, n).open(ctx)
      return at(ends, n).promise
    },
  })
  return {
    job,
    started: (n) => at(begun, n).promise,
    get count() {
      return count
    },
    finish: (n, result) => at(ends, n).open(result),
  }
}

/** How a job ended, while time passes: what it returned, or what `result()` rejected with. */
export function ended(world: World, ledger: Ledger, id: string): Promise<unknown> {
  return world.pass(
    ledger.result(id).then(
      (value) => value,
      (error: unknown) => error,
    ),
  )
}

/** From each failure to the time recorded for the next run (ms). */
export async function waits(ledger: Ledger, id: string): Promise<number[]> {
  const failed = await factsOf(ledger, id, 'Failed')
  const retried = await factsOf(ledger, id, 'Retried')
  return retried.map(({ runAt }, index) => (runAt as number) - (failed[index]?.at as number))
}

/** A worker leases the job and is not heard of again, until the lease is taken back. */
export async function loseLease(world: World, ledger: Ledger, id: string): Promise<void> {
  const worker = await ledger.workers.register()
  await ledger.leaseById(id, worker)
  const lost = next(ledger, id, 'Failed')
  await world.pass(lost)
}

/** A type that notes every call; its payload says how many of its first attempts fail. */
export function noting(calls: string[], more: Partial<JobDefaults<number>> = {}): JobDefinition<number, string> {
  return defineJob({
    type: 'noting',
    backoff: { min: '10s', factor: 1, jitter: 'none' },
    maxAttempts: 2,
    init: () => void calls.push('init'),
    start: (_: number, { run }) => {
      calls.push(`start ${run}`)
      return `value ${run}`
    },
    onError: (error, { run }) => void calls.push(`onError ${run}: ${(error as Error).message}`),
    commit: ({ outcome, final }, { run, value }) => void calls.push(`commit ${run}: ${outcome} ${final} ${value}`),
    ...more,
    handle: (failures: number, ctx) => {
      calls.push(`handle ${ctx.run}`)
      if (ctx.attempt <= failures) throw new Error(`no ${ctx.run}`)
      return 'done'
    },
  })
}

/** Enqueued and waited for, while time passes. */
export async function runToEnd<Payload>(
  world: World,
  ledger: Ledger,
  job: JobDefinition<Payload, unknown>,
  payload: Payload,
): Promise<unknown> {
  const { id } = await ledger.enqueue(job, payload)
  const end = await ended(world, ledger, id)
  await world.clock.settle()
  return end
}
