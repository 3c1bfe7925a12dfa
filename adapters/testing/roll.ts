import { InvalidOption } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Queued, Rescheduled } from '../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import { reveal, unpack } from '../../runtime/write/codec.js'
import type { JobType } from '../../runtime/write/contract.js'

/** A job as it was enqueued, with what was changed while it waited. */
export interface EnqueuedJob {
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly channel: string
  readonly name?: string
  readonly priority: number
  readonly payload: unknown
  /** When it was enqueued (ms of virtual time). */
  readonly queuedAt: number
  /** Not before then (ms). */
  readonly runAt?: number
  readonly held: boolean
  /** Ids of the jobs it waits for. */
  readonly dependsOn: readonly string[]
  readonly user?: string
}

/** The name of a type, or its definition. */
export type TypeChoice = string | JobType

/** All jobs that were ever enqueued, whoever did it and whatever became of them, in that order. */
export class Roll {
  readonly #jobs = new Map<string, EnqueuedJob>()

  follow(event: RecordedEvent): void {
    if (!isJobStream(event.stream)) return
    const id = jobIdOf(event.stream)
    if (event.type === 'Queued') this.#jobs.set(id, toJob(id, event as RecordedEvent<'Queued', Queued>))
    else if (event.type === 'Rescheduled') {
      const job = this.#jobs.get(id)
      if (job !== undefined) this.#jobs.set(id, changed(job, event as RecordedEvent<'Rescheduled', Rescheduled>))
    }
  }

  get size(): number {
    return this.#jobs.size
  }

  jobs(): EnqueuedJob[] {
    return [...this.#jobs.values()]
  }

  of(type: TypeChoice, option: string): EnqueuedJob[] {
    const name = toTypeName(type, option)
    return this.jobs().filter((job) => job.type === name)
  }

  /** How many there are of each type: `3 jobs: 2 x send-mail, 1 x resize`. */
  get summary(): string {
    const counts = new Map<string, number>()
    for (const { type } of this.#jobs.values()) counts.set(type, (counts.get(type) ?? 0) + 1)
    const all = [...counts].map(([type, count]) => `${count} x ${type}`)
    return all.length === 0 ? 'no job' : `${this.size} job${this.size === 1 ? '' : 's'} (${all.join(', ')})`
  }
}

export function toTypeName(type: unknown, option: string): string {
  const name = typeof type === 'string' ? type : (type as JobType | null | undefined)?.type
  if (typeof name === 'string') return name
  throw new InvalidOption(option, 'the name of a job type, or its definition', type)
}

function toJob(id: string, { data, body, at }: RecordedEvent<'Queued', Queued>): EnqueuedJob {
  const { type, queue, channel = '', name, priority = 0, runAt, held = false, dependsOn = [], context } = data
  return {
    ...{ id, type, queue, channel, priority, held, payload: unpack(reveal(body), data).payload, queuedAt: at },
    ...(name !== undefined && { name }),
    ...(runAt !== undefined && { runAt }),
    ...(context?.user !== undefined && { user: context.user }),
    dependsOn: dependsOn.map((edge) => edge.id),
  }
}

function changed(job: EnqueuedJob, { data, body }: RecordedEvent<'Rescheduled', Rescheduled>): EnqueuedJob {
  const { priority = job.priority, held = job.held, runAt = job.runAt, payload } = data
  return {
    ...job,
    ...{ priority, held },
    ...(runAt !== undefined && { runAt }),
    ...(payload && { payload: reveal(body) }),
  }
}
