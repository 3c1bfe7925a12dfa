import { InvalidOption } from '../domain/errors.js'
import type { TransactionalAppend } from './ports/event-store.js'
import type { BatchElement, EnqueueOptions, JobHandle, JobType } from './write/contract.js'
import type { Enqueued } from './write/enqueue-command.js'
import type { Enqueuer, EnqueueSpec } from './write/enqueuer.js'
import type { Speaker } from './write/speaker.js'

/** Enqueues inside the caller's own transaction: rolled back, nothing was enqueued; committed, workers are woken at once. */
export interface TransactionalLedger {
  /** On SQLite the handle itself, on stores whose transactions are asynchronous a promise of it. */
  enqueue<Payload, Result>(
    job: JobType<Payload, Result>,
    payload: Payload,
    options?: EnqueueOptions,
  ): JobHandle<Result> | Promise<JobHandle<Result>>
  enqueueMany(batch: readonly BatchElement[]): JobHandle[] | Promise<JobHandle[]>
}

/** `toHandle`: what the caller is given for each job. */
export function transactional({
  enqueuer,
  transaction,
  speaker,
  toHandle,
}: {
  readonly enqueuer: Enqueuer
  readonly transaction: TransactionalAppend
  readonly speaker: () => Speaker
  readonly toHandle: (job: Enqueued) => JobHandle
}): TransactionalLedger {
  const enqueue = <A>(
    specs: readonly EnqueueSpec[],
    path: (index: number) => string,
    answer: (all: JobHandle[]) => A,
  ): A | Promise<A> => {
    const enqueued = enqueuer.enqueueWithin(transaction, specs, speaker(), path)
    const answered = (all: readonly Enqueued[]): A => answer(all.map(toHandle))
    return enqueued instanceof Promise ? enqueued.then(answered) : answered(enqueued)
  }
  return {
    enqueue: <Payload, Result>(job: JobType<Payload, Result>, payload: Payload, options?: EnqueueOptions) =>
      enqueue(
        [{ job, payload, options }],
        () => 'enqueue',
        ([first]) => first as JobHandle<Result>,
      ),
    enqueueMany: (batch) => {
      checkBatch(batch)
      return batch.length === 0 ? [] : enqueue(batch as readonly EnqueueSpec[], elementOf, (all) => all)
    },
  }
}

/** Names an element in errors. */
export const elementOf = (index: number): string => `enqueueMany[${index}]`

/** Throws InvalidOption. */
export function checkBatch(batch: unknown): void {
  if (!Array.isArray(batch)) throw new InvalidOption('enqueueMany', 'an array of { job, payload, options }', batch)
}
