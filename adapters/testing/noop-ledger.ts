import type { Ledger } from '../../runtime/ledger.js'
import type { LedgerOptions } from '../../runtime/options.js'
import type { Clock } from '../../runtime/ports/clock.js'
import type { BatchElement, EnqueueOptions } from '../../runtime/write/contract.js'
import type { Storage } from '../open-ledger.js'
import { openInWorld } from '../open-ledger.js'
import { NullEventStore } from './null-store.js'
import { nextTurn } from './virtual-clock.js'

/** Nothing ever falls due: no timer keeps a program alive. */
const sleeplessClock: Clock = { now: Date.now, at: () => () => {}, soon: nextTurn }

/**
 * A ledger that keeps nothing and runs nothing, to try a program without a queue. It checks what it is given as any ledger
 * does, but for dependencies, which may be jobs that it has not kept. Every enqueue is answered `created`; of no job does it
 * know anything afterwards: `result`, `status`, `cancel` and so on reject with JobUnknown, lists and counts are empty.
 * `start` does nothing. It need not be closed. Throws InvalidOption, DuplicateType.
 */
export async function noopLedger(options: LedgerOptions = {}): Promise<Ledger> {
  const fill = (buffer: Uint8Array): void => void crypto.getRandomValues(buffer)
  const { ledger } = await openInWorld(
    { clock: sleeplessClock, fill, before: ({ views }: Storage) => ({ store: new NullEventStore(), views }) },
    { ...options, autoStart: false },
  )
  let isStarted = false
  const start = async (): Promise<boolean> => {
    // Throws LedgerClosed.
    await ledger.ping()
    const isFirst = !isStarted
    isStarted = true
    return isFirst
  }
  return idle(ledger, start)
}

/** Depends on nothing, and has no workers. */
function idle(ledger: Ledger, start: Ledger['start']): Ledger {
  const enqueue = ledger.enqueue.bind(ledger)
  const enqueueMany = ledger.enqueueMany.bind(ledger)
  const tx = ledger.tx.bind(ledger)
  const as = ledger.as.bind(ledger)
  const own: Partial<Ledger> = {
    enqueue: (job, payload, options) => enqueue(job, payload, independent(options)),
    enqueueMany: (batch) => enqueueMany(allIndependent(batch)),
    tx: (handle) => {
      const inside = tx(handle)
      return {
        enqueue: (job, payload, options) => inside.enqueue(job, payload, independent(options)),
        enqueueMany: (batch) => inside.enqueueMany(allIndependent(batch)),
      }
    },
    as: (actor) => idle(as(actor), start),
    start,
  }
  return Object.assign(ledger, own)
}

function independent<Options extends EnqueueOptions | undefined>(options: Options): Options {
  return options?.dependsOn === undefined ? options : { ...options, dependsOn: [] }
}

/** What is not a batch, or not an element of one, is refused for that. */
const allIndependent = (batch: readonly BatchElement[]): readonly BatchElement[] =>
  Array.isArray(batch) ? batch.map(independentElement) : batch

const independentElement = (element: BatchElement): BatchElement =>
  element?.options === undefined ? element : { ...element, options: independent(element.options) }
