/** Short ways to watch what triggers do. */
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { Cancel } from '../../runtime/ports/clock.js'
import type { JobContext } from '../../runtime/work/run/context.js'
import type { JobDefaults, JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { World } from '../engine/support.js'

/** One run of a job that takes notes. */
export interface Note {
  readonly payload: unknown
  readonly trigger: JobContext['trigger']
  readonly manual: boolean
}

export interface Noting {
  readonly job: JobDefinition<unknown, unknown>
  /** In the order in which the runs began. */
  readonly notes: Note[]
}

export function noted(type = 'noted', more: Partial<JobDefaults<unknown>> = {}): Noting {
  const notes: Note[] = []
  const handle = (payload: unknown, { trigger, manual }: JobContext): unknown => {
    notes.push({ payload, trigger, manual })
    return payload
  }
  return { job: defineJob({ type, maxAttempts: 1, ...more, handle }), notes }
}

/** A type that nothing here runs. */
export const tick: JobDefinition<unknown, unknown> = defineJob<unknown, unknown>({ type: 'tick' })

/** All that a trigger's stream says, oldest first. */
export async function storyOf(world: World, id: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const page of (await world.store()).readStream(`trigger-${id}`)) events.push(...page)
  return events
}

export const kindsOf = (events: readonly RecordedEvent[]): string[] => events.map(({ type }) => type)

/** The facts of all events of one type. */
export async function toldOf(world: World, id: string, type: string): Promise<Record<string, unknown>[]> {
  const events = (await storyOf(world, id)).filter((event) => event.type === type)
  return events.map(({ data }) => data as Record<string, unknown>)
}

/** An instant as `01-31 23:59:58` (UTC). */
export const shown = (ms: number): string => new Date(ms).toISOString().slice(5, 19).replace('T', ' ')

/** For which instants a trigger has fired, in the order in which it did. */
export async function firings(world: World, id: string): Promise<string[]> {
  return (await toldOf(world, id, 'TriggerFired')).map(({ occurrence }) => shown(occurrence as number))
}

/** What did not fire: the first instant of each gap, how many they were, and why. */
export async function misses(world: World, id: string): Promise<readonly [string, number, string][]> {
  const told = await toldOf(world, id, 'TriggerMissed')
  return told.map(({ occurrence, count = 1, reason }) => [shown(occurrence as number), count as number, String(reason)])
}

/** Payloads of the jobs of a trigger, oldest first. */
export async function payloadsOf(ledger: Ledger, id: string): Promise<unknown[]> {
  const jobs = [...(await ledger.triggers.jobs(id, 1_000))].reverse()
  return Promise.all(jobs.map(async (job) => (await ledger.status(job.id)).payload))
}

/** A clock that somebody sets: what waits for it rings after the time it was asked to wait, whatever it shows by then. */
export class SetClock extends VirtualClock {
  #ahead = 0

  override now(): number {
    return super.now() + this.#ahead
  }

  override at(instant: number, call: () => void): Cancel {
    return super.at(instant - this.#ahead, call)
  }

  /** Puts it forward, or back, by so many ms. */
  set(by: number): void {
    this.#ahead += by
  }
}
