/** Every verb of a worker. */
import type { Position } from '../../domain/event.js'
import * as decide from '../../domain/worker/decide.js'
import type { WorkerRegistered } from '../../domain/worker/events.js'
import { workerStream } from '../../domain/worker/events.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import type { Command, Verdict } from './command.js'

type Decide = (state: WorkerState | undefined) => ReturnType<typeof decide.register | typeof decide.tell>

function onWorker<A>(id: string, decider: (state: WorkerState | undefined) => Verdict<A>): Command<A> {
  const stream = workerStream(id)
  return { streams: [stream], decide: (seen) => decider(seen(stream).state as WorkerState | undefined) }
}

function verdict<A>(decision: ReturnType<Decide>, answer: A): Verdict<A> {
  return decision instanceof Error ? decision : { drafts: decision, answer }
}

const told = (id: string, decider: Decide): Command<void> => onWorker(id, (state) => verdict(decider(state), undefined))

/** What a worker says of itself; undefined: not said. */
export type Registration = { readonly [K in keyof WorkerRegistered]?: WorkerRegistered[K] | undefined } & Pick<
  WorkerRegistered,
  'types' | 'concurrency'
>

export function register(id: string, given: Registration): Command<void> {
  const said = Object.entries(given).filter(([, value]) => value !== undefined)
  const facts = Object.fromEntries(said) as unknown as WorkerRegistered
  const registering = told(id, (state) => decide.register(id, state, facts))
  return { ...registering, fresh: new Set(registering.streams) }
}

/** `position`: see `WorkerBeat`. */
export const beat = (id: string, position?: Position): Command<void> =>
  told(id, (state) => decide.tell(id, state, 'WorkerBeat', position === undefined ? {} : { position }))

/** What came of a pause. */
export interface Paused {
  /** Of the worker's stream after it. */
  readonly revision: number
  /** It takes no jobs as it is: nothing was recorded. */
  readonly before: boolean
}

export function pause(id: string, reason?: string): Command<Paused> {
  return onWorker(id, (state) => {
    const decision = decide.tell(id, state, 'WorkerPaused', reason === undefined ? {} : { reason })
    if (decision instanceof Error) return decision
    const revision = (state?.revision ?? 0) + decision.length
    return { drafts: decision, answer: { revision, before: decision.length === 0 } }
  })
}

export const resume = (id: string): Command<void> => told(id, (state) => decide.tell(id, state, 'WorkerResumed', {}))

/** Takes a worker off the list. False: its stream has moved on since `revision`, and it may have been resumed. */
export function remove(id: string, revision: number): Command<boolean> {
  return onWorker(id, (state) => {
    const decision = decide.tell(id, state, 'WorkerStopped', { by: 'operator' })
    if (decision instanceof Error || state?.revision === revision) return verdict(decision, true)
    return { drafts: [], answer: false }
  })
}

/** Gives it up for lost. False: it has spoken since `seenAt`. */
export function retire(id: string, seenAt: number, reason: string): Command<boolean> {
  return onWorker(id, (state) => {
    if (state !== undefined && state.lastSeenAt > seenAt) return { drafts: [], answer: false }
    return verdict(decide.tell(id, state, 'WorkerLost', { reason }), true)
  })
}

/** Records nothing; refuses a worker that is unknown or gone. */
export function check(id: string): Command<void> {
  return onWorker(id, (state) => {
    const decision = decide.tell(id, state, 'WorkerBeat', {})
    return decision instanceof Error ? decision : { drafts: [], answer: undefined }
  })
}

/** The lease, unless the worker may take none: that it may is part of what is appended. */
export function inTheNameOf(id: string, lease: Command<void>): Command<void> {
  const stream = workerStream(id)
  return {
    ...lease,
    streams: [...lease.streams, stream],
    decide: (seen, now, draw) =>
      decide.whyNoLease(id, seen(stream).state as WorkerState | undefined) ?? lease.decide(seen, now, draw),
  }
}

export const drain = (id: string): Command<void> => told(id, (state) => decide.tell(id, state, 'WorkerDraining', {}))

export const stop = (id: string): Command<void> => told(id, (state) => decide.tell(id, state, 'WorkerStopped', {}))

export const lose = (id: string, reason: string): Command<void> =>
  told(id, (state) => decide.tell(id, state, 'WorkerLost', { reason }))
