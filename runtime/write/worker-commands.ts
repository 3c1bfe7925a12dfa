/** Every verb of a worker. */
import type { Position } from '../../domain/event.js'
import * as decide from '../../domain/worker/decide.js'
import type { WorkerRegistered } from '../../domain/worker/events.js'
import { workerStream } from '../../domain/worker/events.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import type { Command } from './command.js'

type Decide = (state: WorkerState | undefined) => ReturnType<typeof decide.register | typeof decide.tell>

function onWorker(id: string, decider: Decide, fresh?: boolean): Command<void> {
  const stream = workerStream(id)
  return {
    streams: [stream],
    ...(fresh && { fresh: new Set([stream]) }),
    decide(seen) {
      const decision = decider(seen(stream).state as WorkerState | undefined)
      return decision instanceof Error ? decision : { drafts: decision, answer: undefined }
    },
  }
}

/** What a worker says of itself; undefined: not said. */
export type Registration = { readonly [K in keyof WorkerRegistered]?: WorkerRegistered[K] | undefined } & Pick<
  WorkerRegistered,
  'types' | 'concurrency'
>

export function register(id: string, given: Registration): Command<void> {
  const said = Object.entries(given).filter(([, value]) => value !== undefined)
  const facts = Object.fromEntries(said) as unknown as WorkerRegistered
  return onWorker(id, (state) => decide.register(id, state, facts), true)
}

/** `position`: see `WorkerBeat`. */
export const beat = (id: string, position?: Position): Command<void> =>
  onWorker(id, (state) => decide.tell(id, state, 'WorkerBeat', position === undefined ? {} : { position }))

export const pause = (id: string, reason?: string): Command<void> =>
  onWorker(id, (state) => decide.tell(id, state, 'WorkerPaused', reason === undefined ? {} : { reason }))

export const resume = (id: string): Command<void> =>
  onWorker(id, (state) => decide.tell(id, state, 'WorkerResumed', {}))

export const stop = (id: string): Command<void> => onWorker(id, (state) => decide.tell(id, state, 'WorkerStopped', {}))

export const lose = (id: string, reason: string): Command<void> =>
  onWorker(id, (state) => decide.tell(id, state, 'WorkerLost', { reason }))
