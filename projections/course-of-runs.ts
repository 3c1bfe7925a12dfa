/** Why a job was tried again after each of its runs, or was not: read off its recorded events. */
import { tries } from '../domain/backoff.js'
import { formatMs } from '../domain/duration.js'
import type { RecordedEvent } from '../domain/event.js'
import { LOST_LEASE_CAP } from '../domain/job/decide.js'
import type { Cancelled, Failed, FailureCause, JobEvent, JobFacts, Retried } from '../domain/job/events.js'
import type { Deed } from './deeds.js'
import { deedOf, whoAndWhy } from './deeds.js'
import type { Told } from './why-waiting.js'

interface Failure {
  readonly cause: FailureCause
  /** Name of the error. */
  readonly error?: string
}
/** Attempts spent in the round, and how many it has; null: any number. */
interface Spent {
  readonly attempt: number
  readonly of: number | null
}

type Turn =
  | Told<'tried-again', Failure & Spent & { readonly runAt: number }>
  /** Its worker is gone: no attempt spent, and a job outlives so many of these. */
  | Told<'lease-lost', { readonly lost: number; readonly of: number }>
  | Told<'put-off', { readonly runAt: number }>
  | Told<'given-back', { readonly by: 'shutdown' | 'requeue' }>
  | Told<'sent-round-again', { readonly deed: Deed }>
  | Told<'attempts-spent', Failure & Spent>
  | Told<'not-retryable', Failure>
  /** So long after its first run its policy tries no more (ms). */
  | Told<'expired', Failure & { readonly expiration: number }>
  /** Where it ran there are at most so many attempts. */
  | Told<'ceiling', Failure & { readonly ceiling: number }>
  | Told<'leases-spent', { readonly lost: number }>
  /** What a client has begun nobody else can go on with. */
  | Told<'client-gone'>
  | Told<'failed-unstarted', { readonly deed: Deed }>
  | Told<'succeeded'>
  | Told<'cancelled', { readonly by: 'operator' | 'dependency'; readonly deed: Deed }>

/** What came of a run, and what was done about it. `run`: 0 before the first. */
export type Step = { readonly at: number; readonly run: number; readonly round: number } & Turn

/** Oldest first; runs that go on are not among them. */
export function courseOfRuns(events: readonly RecordedEvent[]): readonly Step[] {
  const course = new Course()
  events.forEach((event, index) => {
    course.apply(event as RecordedEvent & JobEvent, events[index + 1])
  })
  return course.steps
}

class Course {
  readonly steps: Step[] = []
  #job: JobFacts | undefined
  #run = 0
  #round = 1
  #lost = 0

  apply(event: RecordedEvent & JobEvent, next: RecordedEvent | undefined): void {
    switch (event.type) {
      case 'Queued':
        this.#job = event.data
        return
      case 'Leased':
        this.#run = event.data.run
        return
      case 'Failed':
        return this.#add(event.at, this.#failed(event.data, event, next))
      case 'Released':
        return this.#add(event.at, givenBack(event.data))
      case 'Retried':
        return event.data.by === 'operator' ? this.#newRound(event, event.data) : undefined
      case 'Finished':
        if (event.data.outcome === 'succeeded')
          this.#add(event.at, { code: 'succeeded', says: `${this.#name} succeeded.` })
        return
      case 'Cancelled': {
        const deed = deedOf(event)
        const { by } = event.data
        return this.#add(event.at, { code: 'cancelled', by, deed, says: `It was cancelled${cancelledBy(by, deed)}.` })
      }
    }
  }

  get #name(): string {
    return `Run ${this.#run}`
  }

  #add(at: number, turn: Turn): void {
    this.steps.push({ at, run: this.#run, round: this.#round, ...turn })
  }

  #newRound(event: RecordedEvent, { job }: Retried): void {
    this.#job = job ?? this.#job
    this.#round += 1
    this.#lost = 0
    const deed = deedOf(event)
    const says = `It was sent round again${whoAndWhy(deed)}: attempts start afresh.`
    this.#add(event.at, { code: 'sent-round-again', deed, says })
  }

  #failed(facts: Failed, event: RecordedEvent, next: RecordedEvent | undefined): Turn {
    if (facts.cause === 'not-started') {
      const deed = deedOf(event)
      return { code: 'failed-unstarted', deed, says: `It was failed before it ever ran${whoAndWhy(deed)}.` }
    }
    if (facts.cause === 'lease-lost') return this.#leaseLost(next)
    const { cause, error, attempt } = facts
    const failure = error === undefined ? { cause } : { cause, error }
    const of = this.#job === undefined ? null : tries(this.#job.backoff, this.#job.maxAttempts)
    const what = `${this.#name} ${inWords(failure)}`
    if (next?.type !== 'Retried') return this.#over(facts, failure, { attempt, of }, what)
    const { runAt } = next.data as Retried
    const wait = runAt > event.at ? `${formatMs(runAt - event.at)} later` : 'at once'
    const says = `${what}, attempt ${attempt} of ${of ?? 'any number'}: tried again ${wait}.`
    return { code: 'tried-again', ...failure, attempt, of, runAt, says }
  }

  #leaseLost(next: RecordedEvent | undefined): Turn {
    this.#lost += 1
    const lost = this.#lost
    const what = `${this.#name} lost its worker`
    if (next?.type === 'Retried') {
      const says = `${what}: run again, no attempt spent (lost lease ${lost} of at most ${LOST_LEASE_CAP}).`
      return { code: 'lease-lost', lost, of: LOST_LEASE_CAP, says }
    }
    if (this.#job?.trigger?.client)
      return { code: 'client-gone', says: `${what}, a client: nobody else can go on with it.` }
    return { code: 'leases-spent', lost, says: `${what}, as ${lost - 1} before it: not run again.` }
  }

  #over({ retryable, ceiling }: Failed, failure: Failure, spent: Spent, what: string): Turn {
    if (ceiling !== undefined)
      return {
        code: 'ceiling',
        ...failure,
        ceiling,
        says: `${what}: where it ran there are ${ceiling} attempts at most.`,
      }
    if (!retryable) return { code: 'not-retryable', ...failure, says: `${what}, and is not to be tried again.` }
    const { attempt, of } = spent
    if (of !== null && attempt >= of)
      return { code: 'attempts-spent', ...failure, ...spent, says: `${what}: all ${of} attempts are spent.` }
    const expiration = this.#job?.backoff.expiration ?? 0
    const says = `${what}, and the next attempt would have come more than ${formatMs(expiration)} after the first run.`
    return { code: 'expired', ...failure, expiration, says }
  }
}

/** A dependency is named by the reason. */
export const cancelledBy = (by: Cancelled['by'], deed: Deed): string =>
  by === 'operator' ? whoAndWhy(deed) : `: ${deed.reason ?? 'a dependency failed'}`

const CAUSES: Readonly<Record<FailureCause, string>> = {
  error: 'failed',
  timeout: 'timed out',
  'lease-lost': 'lost its worker',
  'not-started': 'was not started',
  'invalid-payload': 'was refused its payload',
}

const inWords = ({ cause, error }: Failure): string =>
  error === undefined || cause !== 'error' ? CAUSES[cause] : `${CAUSES[cause]} (${error})`

function givenBack({ by, runAt = 0 }: { readonly by?: 'snooze' | 'requeue'; readonly runAt?: number }): Turn {
  if (by === 'snooze') {
    const says = `Its handler put it off until ${new Date(runAt).toISOString()}: no attempt spent.`
    return { code: 'put-off', runAt, says }
  }
  const says = `Its worker ${by === 'requeue' ? 'sent it back' : 'shut down and gave it back'}: no attempt spent.`
  return { code: 'given-back', by: by ?? 'shutdown', says }
}
