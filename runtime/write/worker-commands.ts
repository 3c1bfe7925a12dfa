/** Every verb of a worker. */
import * as decide from '../../domain/worker/decide.js'
import type { ProcessIdentity } from '../../domain/worker/events.js'
import { workerStream } from '../../domain/worker/events.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import type { Command } from './command.js'

type Decide = (state: WorkerState | undefined) => ReturnType<typeof decide.register>

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

export interface Registration {
  readonly process: ProcessIdentity
  readonly types: readonly string[]
  readonly queues: readonly string[] | undefined
  readonly concurrency: number
  readonly codeVersion: string | undefined
}

export function register(id: string, { queues, codeVersion, ...given }: Registration): Command<void> {
  const facts = { ...given, ...(queues !== undefined && { queues }), ...(codeVersion !== undefined && { codeVersion }) }
  return onWorker(id, (state) => decide.register(id, state, facts), true)
}

export const stop = (id: string): Command<void> => onWorker(id, (state) => decide.tell(id, state, 'WorkerStopped', {}))

export const lose = (id: string, reason: string): Command<void> =>
  onWorker(id, (state) => decide.tell(id, state, 'WorkerLost', { reason }))
