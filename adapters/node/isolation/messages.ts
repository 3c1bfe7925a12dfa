/** What parent and child tell each other. Sent by structured clone: bytes, dates, maps and the like arrive as they were. */
import type { JobContext } from '../../../runtime/work/run/context.js'
import type { EnqueueRequest } from './enqueueing.js'
import type { SentLine } from './log-lines.js'
import type { SentError } from './sent-errors.js'

/** What a run is told of itself as it begins. */
export type ContextFacts = Pick<
  JobContext,
  | 'id'
  | 'type'
  | 'name'
  | 'queue'
  | 'channel'
  | 'run'
  | 'attempt'
  | 'workerId'
  | 'user'
  | 'trace'
  | 'manual'
  | 'trigger'
  | 'triggers'
  | 'correlationId'
  | 'causationId'
  | 'deadline'
  | 'retries'
>

/** `turn` counts the runs of one child: what an earlier one has left behind is not taken for the present one's. */
export type ToChild = { readonly turn: number } & (
  | {
      readonly kind: 'run'
      readonly module: string
      readonly payload: unknown
      readonly facts: ContextFacts
      readonly maxBodyBytes: number
    }
  | { readonly kind: 'abort'; readonly reason: SentError }
  | { readonly kind: 'answer'; readonly question: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly question: number; readonly error: SentError }
)

/** What only the parent can do. */
export type Request =
  | { readonly ask: 'heartbeat'; readonly progress: number | undefined; readonly partial: Stored }
  | { readonly ask: 'dependencies' }
  | { readonly ask: 'dependencyErrors' }
  | EnqueueRequest

/** A value in the form the log keeps: JSON text, or bytes. */
export type Stored = string | Uint8Array | undefined

export type FromChild = { readonly turn: number } & (
  | { readonly kind: 'done'; readonly result: Stored }
  | { readonly kind: 'threw'; readonly error: SentError }
  /** The module cannot be loaded, or has no handler. */
  | { readonly kind: 'unusable'; readonly error: SentError }
  | SentLine
  | { readonly kind: 'question'; readonly question: number; readonly request: Request }
  | { readonly kind: 'noRetry' }
  | { readonly kind: 'snooze'; readonly until: Date | number }
)
