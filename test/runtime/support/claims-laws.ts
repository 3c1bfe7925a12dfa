/** What must be true of unique keys on any day, found out from the log alone. Answers with what breaks it, in words. */
import type { Claimed } from '../../../domain/claim/events.js'
import { claimTypeOf } from '../../../domain/claim/events.js'
import type { NewEvent } from '../../../domain/event.js'
import type { JobEvent, Queued } from '../../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../../domain/job/events.js'
import type { JobState } from '../../../domain/job/evolve.js'
import { evolve } from '../../../domain/job/evolve.js'
import type { AppendGroup } from '../../../runtime/ports/event-store.js'
import type { Answer, Day } from './claims-world.js'

export function brokenClaims({ log, answers }: Day): string[] {
  const reading = new Reading()
  const holders = [new Set<string>(), ...log.map((group) => reading.read(group))]
  return [...reading.broken, ...answers.flatMap((answer) => untrue(answer, holders))]
}

class Reading {
  readonly broken: string[] = []
  readonly #jobs = new Map<string, JobState>()
  readonly #claims = new Map<string, Claimed>()
  /** The claim streams of jobs that want to be the only one until they end. */
  readonly #wanted = new Map<string, string>()

  /** Jobs that held a key at some moment while this was decided: one group may take, end and take again. */
  read({ events, remove = [] }: AppendGroup): Set<string> {
    const held = new Set(this.#holders())
    for (const event of events) {
      if (claimTypeOf(event.stream) === 'Claimed') this.#claimed(event as NewEvent<'Claimed', Claimed>)
      else if (isJobStream(event.stream)) this.#moved(event)
      for (const id of this.#holders()) held.add(id)
    }
    for (const stream of remove) this.#jobs.delete(jobIdOf(stream))
    for (const id of this.#wanted.keys()) this.#expectHeld(id)
    return held
  }

  #moved(event: NewEvent): void {
    const id = jobIdOf(event.stream)
    this.#jobs.set(id, evolve(this.#jobs.get(id), event as NewEvent & JobEvent))
    const { unique } = event.data as Queued
    if (event.type === 'Queued' && unique !== undefined) this.#wanted.set(id, unique)
  }

  #claimed({ stream, data, at }: NewEvent<'Claimed', Claimed>): void {
    const before = this.#claims.get(stream)
    this.#claims.set(stream, data)
    if (before === undefined || before.jobId === data.jobId) return
    if (before.until === undefined ? this.#isLive(before.jobId) : at < before.until)
      this.broken.push(`${data.jobId} took ${stream} from ${before.jobId}`)
  }

  #isLive(id: string): boolean {
    const job = this.#jobs.get(id)
    return job !== undefined && job.phase !== 'ended'
  }

  /** So no two of one key can be there at once. */
  #expectHeld(id: string): void {
    const stream = this.#wanted.get(id) as string
    const claim = this.#claims.get(stream)
    if (this.#isLive(id) && (claim?.jobId !== id || claim.until !== undefined))
      this.broken.push(`${id} has not ended, and ${claim?.jobId} holds ${stream}`)
  }

  /** Jobs that keep others out, or did so within their window. */
  #holders(): string[] {
    const claims = [...this.#claims.values()]
    return claims.filter(({ jobId, until }) => until !== undefined || this.#isLive(jobId)).map(({ jobId }) => jobId)
  }
}

/** A job that was there before did hold a key, at some moment between question and answer. */
function untrue({ ids, from, until, enqueued = [] }: Answer, holders: readonly ReadonlySet<string>[]): string[] {
  const during = holders.slice(from, until + 1)
  return enqueued.flatMap(({ id, outcome }, index) => {
    if (outcome === 'created') return id === ids[index] ? [] : [`${ids[index]} was created as ${id}`]
    return during.some((held) => held.has(id)) ? [] : [`${ids[index]} was told that ${id} holds its key`]
  })
}
