/**
 * What must hold of any log, whoever wrote it and whatever happened to the writers: read from the events alone, in the order
 * of their positions. Each law is told of every event and says what is wrong with it; at the end, what never came.
 */
import type { ClaimState } from '../../../domain/claim/claim.js'
import { evolveClaim } from '../../../domain/claim/claim.js'
import type { ClaimEvent } from '../../../domain/claim/events.js'
import { claimTypeOf } from '../../../domain/claim/events.js'
import type { RecordedEvent } from '../../../domain/event.js'
import type { JobEvent } from '../../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../../domain/job/events.js'
import type { JobState } from '../../../domain/job/evolve.js'
import { evolve } from '../../../domain/job/evolve.js'
import { upcast } from '../../../domain/upcast.js'
import type { WorkerEvent } from '../../../domain/worker/events.js'
import { isWorkerStream } from '../../../domain/worker/events.js'
import type { WorkerState } from '../../../domain/worker/evolve.js'
import { evolveWorker } from '../../../domain/worker/evolve.js'
import type { JobRecord, Law } from './law.js'
import { Attempts } from './law-of-attempts.js'
import { Dependencies } from './law-of-dependencies.js'
import { Leases } from './law-of-leases.js'

/** Everything that is wrong with a log, `job <id>: ...`; empty if it is sound. `events` are in the order of the log. */
export function faultsIn(events: Iterable<RecordedEvent>): string[] {
  const order = new Order()
  const laws: readonly Law[] = [new Leases(), new Attempts(), new Dependencies(), new Ends(), new Keys(), new Limits()]
  const faults: string[] = []
  for (const recorded of events) {
    faults.push(...order.see(recorded))
    if (!isJobStream(recorded.stream)) continue
    const id = jobIdOf(recorded.stream)
    const event = upcast(recorded) as JobRecord
    for (const law of laws) for (const fault of law.see(id, event)) faults.push(`job ${id}: ${fault}`)
  }
  return faults.concat(laws.flatMap((law) => law.end()))
}

/** Positions and revisions without a gap or a repetition, and every event allowed by the machine of its stream. */
class Order {
  #position = ''
  readonly #heads = new Map<string, { revision: number; at: number; state: unknown }>()
  readonly #ids = new Set<string>()

  see(event: RecordedEvent): string[] {
    const { stream, revision, position, id, at, type } = event
    const head = this.#heads.get(stream) ?? { revision: -1, at: 0, state: undefined }
    const faults: string[] = []
    if (position <= this.#position) faults.push(`position ${position} comes after ${this.#position}`)
    if (this.#ids.has(id)) faults.push(`${stream}: event ${id} is there twice`)
    if (revision !== head.revision + 1) faults.push(`${stream}: revision ${revision} comes after ${head.revision}`)
    if (isJobStream(stream) && at < head.at) faults.push(`${stream}: ${type} was decided before what it follows`)
    this.#position = position
    this.#ids.add(id)
    let { state } = head
    try {
      state = step(state, event)
    } catch (error) {
      faults.push(`${stream}: ${(error as Error).message}`)
    }
    this.#heads.set(stream, { revision, at, state })
    return faults
  }
}

/** Throws IllegalEvent. */
function step(state: unknown, recorded: RecordedEvent): unknown {
  const event = upcast(recorded)
  if (isJobStream(event.stream)) return evolve(state as JobState | undefined, event as RecordedEvent & JobEvent)
  if (isWorkerStream(event.stream)) {
    return evolveWorker(state as WorkerState | undefined, event as RecordedEvent & WorkerEvent)
  }
  if (claimTypeOf(event.stream) === undefined) return undefined
  return evolveClaim(state as ClaimState | undefined, event as RecordedEvent & ClaimEvent)
}

/** A round ends once, and every round ends: nothing is lost, nothing done twice. */
class Ends implements Law {
  readonly #ends = new Map<string, number>()

  see(id: string, { type, data }: JobRecord): string[] {
    const ends = this.#ends.get(id)
    if (type === 'Queued' || (type === 'Retried' && data.by === 'operator')) {
      this.#ends.set(id, 0)
      return type === 'Retried' && ends === 0 ? ['a new round begins before the one before has ended'] : []
    }
    if (type !== 'Finished' && type !== 'Cancelled') return []
    this.#ends.set(id, (ends ?? 0) + 1)
    return ends === 0 ? [] : [`${type} is the end number ${(ends ?? 0) + 1} of its round`]
  }

  end(): string[] {
    return [...this.#ends].filter(([, ends]) => ends === 0).map(([id]) => `job ${id}: has no end`)
  }
}

/** Of jobs with one unique key, at most one has not ended. */
class Keys implements Law {
  readonly #keyOf = new Map<string, string>()
  readonly #holders = new Map<string, string>()

  see(id: string, { type, data }: JobRecord): string[] {
    if (type === 'Queued' && data.unique !== undefined) this.#keyOf.set(id, data.unique)
    const key = this.#keyOf.get(id)
    if (key === undefined) return []
    const holder = this.#holders.get(key)
    if (type === 'Queued' || (type === 'Retried' && data.by === 'operator')) {
      this.#holders.set(key, id)
      return holder === undefined || holder === id ? [] : [`has the unique key of ${holder}, which has not ended`]
    }
    if ((type === 'Finished' || type === 'Cancelled') && holder === id) this.#holders.delete(key)
    return []
  }

  end(): string[] {
    return []
  }
}

/** Runs at once of jobs with one concurrency key: at most its limit. */
class Limits implements Law {
  readonly #limitOf = new Map<string, { readonly key: string; readonly limit: number }>()
  readonly #running = new Map<string, Set<string>>()

  see(id: string, { type, data }: JobRecord): string[] {
    if (type === 'Queued' && data.concurrency !== undefined) this.#limitOf.set(id, data.concurrency)
    const own = this.#limitOf.get(id)
    if (own === undefined) return []
    const running = this.#running.get(own.key) ?? new Set()
    this.#running.set(own.key, running)
    if (type === 'Leased') running.add(id)
    else if (type !== 'Heartbeat' && type !== 'Expunged') running.delete(id)
    return running.size > own.limit ? [`is run number ${running.size} at once under the key ${own.key}`] : []
  }

  end(): string[] {
    return []
  }
}
