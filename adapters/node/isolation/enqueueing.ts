/** Both ends of an enqueue by a handler in a child: the parent does it, as a deed of that run. */
import { InvalidOption } from '../../../domain/errors.js'
import { NotInChild } from '../../../runtime/errors.js'
import type { BatchElement, Enqueueing, EnqueueOptions, JobHandle, JobType } from '../../../runtime/write/contract.js'

/** A job to enqueue; its payload as it was given, since the schema of its type is the parent's to ask. */
interface SentElement {
  readonly type: string
  readonly payload: unknown
  readonly options: EnqueueOptions | undefined
}

export interface EnqueueRequest {
  readonly ask: 'enqueue'
  readonly elements: readonly SentElement[]
  readonly isBatch: boolean
}

/** What comes of each. */
type SentHandle = Pick<JobHandle, 'id' | 'outcome'>

/** `ctx.ledger` of a child. */
export function ledgerTo(ask: (request: EnqueueRequest) => Promise<unknown>): Enqueueing {
  const enqueue = async (isBatch: boolean, elements: readonly SentElement[]): Promise<JobHandle[]> =>
    ((await ask({ ask: 'enqueue', elements, isBatch })) as SentHandle[]).map(toHandle)
  return {
    async enqueue<Payload, Result>(job: JobType<Payload, Result>, payload: Payload, options?: EnqueueOptions) {
      const [handle] = await enqueue(false, [toElement({ job: job as JobType, payload, ...(options && { options }) })])
      return handle as JobHandle<Result>
    },
    async enqueueMany(batch) {
      if (!Array.isArray(batch)) throw new InvalidOption('enqueueMany', 'an array of { job, payload, options }', batch)
      return enqueue(true, batch.map(toElement))
    },
  }
}

/** What is wrong with it, the parent says. */
const toElement = (given: BatchElement | undefined): SentElement => ({
  type: given?.job?.type as string,
  payload: given?.payload,
  options: given?.options,
})

/** Waiting for another job would hold a process and a slot meanwhile. */
const toHandle = ({ id, outcome }: SentHandle): JobHandle => ({
  id,
  outcome,
  result: () => Promise.reject(new NotInChild('result() of a job')),
})

/** In the parent, where `known` finds the definition of a type. Rejects as an enqueue does. */
export async function enqueueFor(
  ledger: Enqueueing,
  known: (type: string) => JobType | undefined,
  { elements, isBatch }: EnqueueRequest,
): Promise<SentHandle[]> {
  const batch = elements.map(({ type, payload, options }, index) => {
    const job = known(type)
    const path = isBatch ? `enqueueMany[${index}].job` : 'enqueue.job'
    if (job === undefined) throw new InvalidOption(path, 'of a type that the ledger has in `jobs`', type)
    return { job, payload, ...(options !== undefined && { options }) }
  })
  const [first] = batch
  const handles =
    isBatch || first === undefined
      ? await ledger.enqueueMany(batch)
      : [await ledger.enqueue(first.job, first.payload, first.options)]
  return handles.map(({ id, outcome }) => ({ id, outcome }))
}
