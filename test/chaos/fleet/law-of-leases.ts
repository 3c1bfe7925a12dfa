/**
 * At most one lease of a job at any moment: the next begins after the one before has ended, and only who holds it can say
 * how its run went.
 */
import type { Failed, Heartbeat, Leased } from '../../../domain/job/events.js'
import type { JobRecord, Law } from './law.js'

interface Held extends Leased {
  expires: number
}

/** What a handler of the fleet gives back: whose run it was. */
export interface Mark {
  readonly run: number
  readonly workerId: string
}

export class Leases implements Law {
  readonly #held = new Map<string, Held>()
  readonly #runs = new Map<string, number>()
  /** When the last lease of a job ended. */
  readonly #endedAt = new Map<string, number>()
  readonly #tokens = new Set<string>()

  see(id: string, event: JobRecord): string[] {
    const held = this.#held.get(id)
    switch (event.type) {
      case 'Leased':
        return this.#leased(id, event.data, event.at, held)
      case 'Heartbeat':
        return beaten(event.data, held)
      case 'Released':
        return this.#over(id, event.at, misfit(event.data.token, held))
      case 'Failed':
        if (event.data.cause === 'not-started') return held === undefined ? [] : ['not started, but under a lease']
        return this.#over(id, event.at, [...failed(event, event.data, held)])
      case 'Finished':
        // One that failed has ended its lease before.
        if (event.data.outcome === 'failed') return held === undefined ? [] : ['ends as failed under a lease']
        return this.#over(id, event.at, finished(event, held))
      case 'Cancelled':
        return this.#over(id, event.at, [])
      default:
        return held === undefined ? [] : [`${event.type} under a lease`]
    }
  }

  #leased(id: string, lease: Leased, at: number, held: Held | undefined): string[] {
    const runs = this.#runs.get(id) ?? 0
    const faults: string[] = []
    if (held !== undefined) faults.push(`run ${lease.run} is leased while run ${held.run} still is`)
    if (lease.run !== runs + 1) faults.push(`run ${lease.run} comes after run ${runs}`)
    if (at < (this.#endedAt.get(id) ?? 0)) faults.push(`run ${lease.run} overlaps the one before`)
    if (this.#tokens.has(lease.token)) faults.push(`run ${lease.run} has a token that was used before`)
    if (lease.expiresAt <= at) faults.push(`run ${lease.run} has a lease that is over when it begins`)
    this.#tokens.add(lease.token)
    this.#runs.set(id, lease.run)
    this.#held.set(id, { ...lease, expires: lease.expiresAt })
    return faults
  }

  #over(id: string, at: number, faults: string[]): string[] {
    if (this.#held.delete(id)) this.#endedAt.set(id, at)
    return faults
  }

  end(): string[] {
    return [...this.#held].map(([id, { run }]) => `job ${id}: run ${run} is still leased`)
  }
}

function misfit(token: string | undefined, held: Held | undefined): string[] {
  if (held === undefined) return ['an outcome without a lease']
  return token === held.token ? [] : [`an outcome under another token than that of run ${held.run}`]
}

function beaten({ token, expiresAt }: Heartbeat, held: Held | undefined): string[] {
  const faults = held?.token === token ? [] : ['a heartbeat under another token']
  if (held !== undefined) held.expires = Math.max(held.expires, expiresAt)
  return faults
}

/** A lease is taken back from a process that is gone, or when it is over; from nobody else. */
function* failed(event: JobRecord, { token, cause, run }: Failed, held: Held | undefined): Generator<string> {
  yield* misfit(token, held)
  if (held !== undefined && run !== held.run) yield `run ${run} fails under the lease of run ${held.run}`
  if (cause !== 'lease-lost' || held === undefined) return
  const { message } = (contentOf(event) ?? {}) as { message?: string }
  if (message !== 'the worker process is gone' && event.at <= held.expires)
    yield `run ${run} loses its lease ${held.expires - event.at} ms before that is over`
}

function finished(event: JobRecord, held: Held | undefined): string[] {
  if (held === undefined) return ['a success without a lease']
  const mark = contentOf(event) as Partial<Mark> | undefined
  if (typeof mark?.run !== 'number') return []
  const isOwn = mark.run === held.run && mark.workerId === held.workerId
  return isOwn ? [] : [`the success of run ${mark.run} is recorded under the lease of run ${held.run}`]
}

/** What the body says, where there is one and it is JSON. */
function contentOf({ body }: JobRecord): unknown {
  if (body === undefined || !('content' in body) || typeof body.content !== 'string') return undefined
  try {
    return JSON.parse(body.content)
  } catch {
    return undefined
  }
}
