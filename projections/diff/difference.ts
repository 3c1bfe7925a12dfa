/** What a candidate would have made of recorded events, where that is not what was made of them. */
import type { Position, RecordedEvent } from '../../domain/event.js'

export type Difference = RowDifference | Refusal | PhaseDifference | DecisionDifference | OutcomeDifference

/** Of two projections, after the last event; null: no row. */
export interface RowDifference {
  readonly kind: 'row'
  readonly key: string
  readonly before: unknown
  readonly after: unknown
}

interface AboutEvent {
  readonly job: string
  readonly revision: number
  readonly position: Position
  readonly at: number
}

/** The first event of a job that the candidate machine refuses; what came after it is not judged. */
export interface Refusal extends AboutEvent {
  readonly kind: 'refused'
  readonly event: string
  /** Where the candidate was. */
  readonly phase: string
}

/** Where a job is after the last event. */
export interface PhaseDifference {
  readonly kind: 'phase'
  readonly job: string
  readonly recorded: string
  readonly candidate: string
}

/** What follows a failed attempt. A candidate's backoff with jitter has no instant, but a time from and to. */
export type Next = { readonly what: 'end' } | { readonly what: 'retry'; readonly from: number; readonly to: number }

/** A failed attempt after which the candidate policy would have decided otherwise. */
export interface DecisionDifference extends AboutEvent {
  readonly kind: 'decision'
  readonly type: string
  readonly run: number
  readonly attempt: number
  readonly error?: string
  readonly recorded: Next
  readonly candidate: Next
}

/** How a round of a job ended, and would have. `open`: it would have gone on, and nobody knows how. */
export interface OutcomeDifference extends AboutEvent {
  readonly kind: 'outcome'
  readonly type: string
  readonly recorded: string
  readonly candidate: 'failed' | 'open'
}

/** Compares while events come by, in order. */
export interface Comparison {
  /** Whether the job of this stream has been followed so far; else its earlier events have to be learnt first. */
  knows(stream: string): boolean
  /** Takes up an event from before what is compared. */
  learn(event: RecordedEvent): void
  apply(event: RecordedEvent): Iterable<Difference>
  /** After the last event. */
  end(): Iterable<Difference>
}
