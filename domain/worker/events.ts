/** The facts of a worker's events. Storage format: see `../event.ts` for the rules under which it may grow. */
import type { NewEvent, RecordedEvent } from '../event.js'

/** Which process a worker lives in: enough to tell, on the same host, that it is gone and not just another one of its number. */
export interface ProcessIdentity {
  readonly host: string
  /** Changes with each boot of the kernel. */
  readonly bootId: string
  /** Process numbers mean something only inside one namespace: two containers both have a process 1. */
  readonly pidNamespace: string
  readonly pid: number
  /** Start time in the kernel's own units: a process number may be used again. */
  readonly startTime: string
}

export interface WorkerRegistered {
  /** Absent: it lives elsewhere and speaks through the lease protocol. */
  readonly process?: ProcessIdentity
  readonly types: readonly string[]
  /** Absent: every queue, every channel. */
  readonly queues?: readonly string[]
  readonly channels?: readonly string[]
  readonly concurrency: number
  readonly name?: string
  readonly arch?: string
  readonly codeVersion?: string
  /** The pool whose slots it has. */
  readonly pool?: string
  /** One for all workers of one open ledger. */
  readonly runtime?: string
}

/** A sign of life of a worker that has nothing else to say. */
export interface WorkerBeat {
  /** It acts on all that is in the log up to here (a position), and has no lease on its way that rests on less. */
  readonly position?: string
}
/** It takes no more jobs; what it runs goes on. Written by whoever wants it so: no sign of life. */
export interface WorkerPaused {
  readonly reason?: string
}
export type WorkerResumed = Readonly<Record<string, never>>
export type WorkerDraining = Readonly<Record<string, never>>
/** Absent: it signed off by itself. */
export interface WorkerStopped {
  readonly by?: 'operator'
}
export interface WorkerLost {
  readonly reason: string
}

export interface WorkerEventMap {
  WorkerRegistered: WorkerRegistered
  WorkerBeat: WorkerBeat
  WorkerPaused: WorkerPaused
  WorkerResumed: WorkerResumed
  WorkerDraining: WorkerDraining
  WorkerStopped: WorkerStopped
  WorkerLost: WorkerLost
}
export type WorkerEventType = keyof WorkerEventMap
export type WorkerEvent = {
  [T in WorkerEventType]: Pick<NewEvent<T, WorkerEventMap[T]>, 'stream' | 'type' | 'at' | 'data'> &
    Partial<Pick<RecordedEvent, 'revision' | 'position'>>
}[WorkerEventType]

const PREFIX = 'worker-'
export const workerStream = (id: string): string => PREFIX + id
export const isWorkerStream = (stream: string): boolean => stream.startsWith(PREFIX)
export const workerIdOf = (stream: string): string => stream.slice(PREFIX.length)
