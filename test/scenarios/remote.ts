/** What scenarios about workers elsewhere share. */
import type { Ledger } from '../../runtime/ledger.js'
import type { JobLease, LeaseOptions } from '../../runtime/work/desk/lease-desk.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { rejection } from '../engine/support.js'

/** Enqueued here, run elsewhere. */
export const build: JobDefinition<unknown, unknown> = defineJob<unknown, unknown>({ type: 'build' })
export const test: JobDefinition<unknown, unknown> = defineJob<unknown, unknown>({ type: 'test' })

/** Longer than any scenario. */
export const LONG = '1w'

/** Leases what is there now, for long. Throws LeaseTimeout. */
export function take(
  ledger: Ledger,
  workerId: string,
  options: Omit<LeaseOptions, 'workerId'> = {},
): Promise<JobLease> {
  return ledger.lease({ workerId, timeout: 0, lease: LONG, ...options })
}

/** Ids of what can be leased now, most urgent first; all of it is leased afterwards. */
export async function takeAll(
  ledger: Ledger,
  workerId: string,
  options: Omit<LeaseOptions, 'workerId'> = {},
): Promise<string[]> {
  const ids: string[] = []
  for (;;) {
    const lease = await take(ledger, workerId, options).catch((error: { code?: string }) => error)
    if (!('token' in lease)) {
      if (lease.code === 'LEASE_TIMEOUT') return ids
      throw lease
    }
    ids.push(lease.id)
  }
}

export const code = async (promise: Promise<unknown>): Promise<string> =>
  ((await rejection(promise)) as { code: string }).code

/** A promise, and what has become of it so far. */
export interface Watched<Value> {
  readonly promise: Promise<Value>
  state: 'pending' | 'fulfilled' | 'rejected'
}

export function watched<Value>(promise: Promise<Value>): Watched<Value> {
  const seen: Watched<Value> = { promise, state: 'pending' }
  promise.then(
    () => {
      seen.state = 'fulfilled'
    },
    () => {
      seen.state = 'rejected'
    },
  )
  return seen
}

export const states = (all: readonly Watched<unknown>[]): string[] => all.map(({ state }) => state)
