import type { JobledgerError } from '../../domain/errors.js'
import type { Draft, NewEvent, RecordedEvent } from '../../domain/event.js'
import type { AppendGroup } from '../ports/event-store.js'

/** The folded state of any stream, as far as the journal cares. */
export interface StreamState {
  readonly revision: number
}

/** What a decider is shown of one stream. */
export interface Seen<S extends StreamState = StreamState> {
  /** undefined: never written. */
  readonly state: S | undefined
  /** Its events (with bodies if the command asks for them), when they were read from the store for this decision; those that the same flush adds come last. */
  readonly events?: readonly (RecordedEvent | NewEvent)[] | undefined
}

export interface Facts<A> extends Pick<AppendGroup, 'erase' | 'remove' | 'effects'> {
  readonly drafts: readonly Draft[]
  readonly answer: A
}

/** Facts to record and what to answer once they are durable, or a refusal. */
export type Verdict<A> = Facts<A> | JobledgerError

export interface Command<A> {
  /** Every stream that is looked at or written. */
  readonly streams: readonly string[]
  /** Streams of these that the caller believes were never written (its own new ids): not looked up before the append. */
  readonly fresh?: ReadonlySet<string>
  /** Shares its group with no other command: what it brings beside its events may fail, and that is then its own failure. */
  readonly alone?: true
  /** What is read for this decision must come with bodies. */
  readonly bodies?: true
  /** Pure; run again when a rival was faster. `now` (ms) and `draw` (0..1) are the decision's own. */
  decide(seen: (stream: string) => Seen, now: number, draw: () => number): Verdict<A>
}

/** How streams are folded, and what of them is at hand without reading. */
export interface Memory {
  /** State that the projections hold; undefined when they do not know the stream, which says nothing about the log. */
  recall(stream: string): StreamState | undefined
  /** The last event of this stream alone makes its state. */
  endSaysAll(stream: string): boolean
  /** State that later events of this stream can be folded onto, where the whole of it is too long to be read each time. */
  readsOn(stream: string): StreamState | undefined
  /** Throws IllegalEvent. */
  evolve(
    state: StreamState | undefined,
    event: RecordedEvent | Omit<RecordedEvent, 'revision' | 'position'>,
  ): StreamState
  /** Resolves once the projections have folded everything up to and including `position`. */
  reached(position: string): Promise<void> | undefined
}
