/** The runs of one job, read off its recorded events. */
import type { Body, ErasedBody, RecordedEvent } from '../domain/event.js'
import type { Failed, FailureCause, JobEvent, Leased } from '../domain/job/events.js'

/** How a run ended. `lost`: its lease was. `released`: given back, no attempt spent. `cancelled`: while it ran. */
export type RunOutcome = 'succeeded' | 'failed' | 'lost' | 'released' | 'cancelled'

/** What went wrong. An error whose body was erased keeps its name, and its message is ''. */
export interface AttemptError {
  readonly name: string
  readonly message: string
  readonly stack?: string
}

/** One run of a job, times in ms since the epoch. What is absent was not recorded, or has not happened yet. */
export interface AttemptRecord {
  /** 1, 2, 3 ... over the job's whole life; 0: the job was failed before it was ever started. */
  readonly run: number
  /** Which attempt of its round, from 1; a run that was lost or released has the same number as the next one. 0 with run 0. */
  readonly attempt: number
  /** 1, and one more with every retry by an operator. */
  readonly round: number
  /** undefined: it was never started. */
  readonly workerId: string | undefined
  /** Of one that was never started, its end. */
  readonly startedAt: number
  /** Absent while it runs. */
  readonly endedAt?: number
  readonly outcome?: RunOutcome
  /** Why it failed or was lost. */
  readonly cause?: FailureCause
  readonly error?: AttemptError
  /** The last that its handler reported. */
  readonly progress?: number
  /** Not before this instant does the next run of the same round begin. Absent where its end was that of the round. */
  readonly retryAt?: number
  /** Version of the program that ran it. */
  readonly codeVersion?: string
  /** Version of the program that enqueued the job. */
  readonly enqueuedVersion?: string
}

/**
 * Attempts of one job in the order of their runs, from its recorded events in the order of its stream, bodies included.
 * Of a stream whose beginning is gone it tells what can still be told; events of other types are passed over.
 */
export function attemptsOf(events: readonly RecordedEvent[]): AttemptRecord[] {
  const history = new AttemptHistory()
  for (const event of events) history.apply(event as RecordedEvent & JobEvent)
  return history.records
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** The runs of a job, event by event. One event changes the last record at most, or begins another one. */
export class AttemptHistory {
  readonly records: Writable<AttemptRecord>[] = []
  /** The run in progress. */
  #open: Writable<AttemptRecord> | undefined
  #round = 1
  #enqueuedVersion: string | undefined

  apply(event: RecordedEvent & JobEvent): void {
    switch (event.type) {
      case 'Queued':
        this.#enqueuedVersion = event.data.codeVersion
        return
      case 'Leased':
        this.#open = this.#started(event.data, event.at)
        return
      case 'Heartbeat':
        if (this.#open !== undefined && event.data.progress !== undefined) this.#open.progress = event.data.progress
        return
      case 'Failed':
        return this.#failed(event.data, event)
      case 'Retried':
        // By an operator it is a new round, not what came of the attempt before.
        if (event.data.by === 'operator') this.#round += 1
        else this.#again(event.data.runAt)
        return
      case 'Released':
        this.#ended('released', event.at)
        return this.#again(event.data.runAt)
      case 'Finished':
        return this.#finished(event.data, event.at)
      case 'Cancelled':
        return this.#ended('cancelled', event.at)
    }
  }

  #started(facts: Pick<Leased, 'run' | 'attempt'> & Partial<Leased>, at: number): Writable<AttemptRecord> {
    const record: Writable<AttemptRecord> = {
      run: facts.run,
      attempt: facts.attempt,
      round: this.#round,
      workerId: facts.workerId,
      startedAt: at,
    }
    if (facts.codeVersion !== undefined) record.codeVersion = facts.codeVersion
    if (this.#enqueuedVersion !== undefined) record.enqueuedVersion = this.#enqueuedVersion
    this.records.push(record)
    return record
  }

  #failed(facts: Failed, { at, body }: RecordedEvent): void {
    const record = this.#open ?? this.#started({ run: facts.run, attempt: facts.attempt }, at)
    record.cause = facts.cause
    record.error = { name: facts.error ?? '', ...detailsOf(body) }
    this.#open = record
    this.#ended(facts.cause === 'lease-lost' ? 'lost' : 'failed', at)
  }

  /** After a `Failed` of the same decision there is nothing left to end. */
  #finished({ outcome, error }: { readonly outcome: RunOutcome; readonly error?: string }, at: number): void {
    if (this.#open !== undefined && error !== undefined) this.#open.error = { name: error, message: '' }
    this.#ended(outcome, at)
  }

  #ended(outcome: RunOutcome, at: number): void {
    if (this.#open === undefined) return
    this.#open.outcome = outcome
    this.#open.endedAt = at
    this.#open = undefined
  }

  #again(runAt: number | undefined): void {
    const last = this.records.at(-1)
    if (last !== undefined && runAt !== undefined) last.retryAt = runAt
  }
}

/** Message and stack of a failure: its body is JSON text { message, stack? }, unless another hand wrote it. */
function detailsOf(body: Body | ErasedBody | undefined): Omit<AttemptError, 'name'> {
  const { message, stack } = parsed(body)
  const text = typeof message === 'string' ? message : ''
  return typeof stack === 'string' ? { message: text, stack } : { message: text }
}

function parsed(body: Body | ErasedBody | undefined): { readonly message?: unknown; readonly stack?: unknown } {
  if (body === undefined || !('content' in body) || typeof body.content !== 'string') return {}
  try {
    return (JSON.parse(body.content) as object | null) ?? {}
  } catch {
    return {}
  }
}
