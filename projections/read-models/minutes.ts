import type { RecordedEvent } from '../../domain/event.js'
import type { Failed, Finished, Retried } from '../../domain/job/events.js'
import type { JobStep } from './job-record.js'
import type { Row } from './tables.js'

const MINUTE = 60_000

type Count = 'queued' | 'started' | 'succeeded' | 'failed' | 'cancelled' | 'retried' | 'lost'
type Counted = Record<Count | 'ended' | 'waitMs' | 'runMs', number>

interface Minute extends Counted {
  readonly key: readonly [minute: number, queue: string, type: string, channel: string]
}

/** What happened in each minute, by queue, type and channel, since the last `take`. */
export class Minutes {
  #minutes = new Map<string, Minute>()

  add(event: RecordedEvent, { after, waited = 0, ran }: JobStep): void {
    const count = countOf(event)
    if (count === undefined && ran === undefined) return
    const minute = this.#at(event.at, after.queue, after.type, after.channel)
    if (count !== undefined) minute[count] += 1
    minute.waitMs += waited
    if (ran === undefined) return
    minute.ended += 1
    minute.runMs += ran
  }

  #at(at: number, queue: string, type: string, channel: string): Minute {
    const begin = at - (at % MINUTE)
    const name = JSON.stringify([begin, queue, type, channel])
    const found = this.#minutes.get(name)
    if (found !== undefined) return found
    const key = [begin, queue, type, channel] as const
    const none = { queued: 0, started: 0, succeeded: 0, failed: 0, cancelled: 0, retried: 0, lost: 0 }
    const made = { key, ...none, ended: 0, waitMs: 0, runMs: 0 }
    this.#minutes.set(name, made)
    return made
  }

  /** As `QUEUE_MINUTES` has them: what is to be added. */
  take(): Row[] {
    const rows = [...this.#minutes.values()].map((each) => {
      const { key, queued, started, succeeded, failed, cancelled, retried, lost, ended, waitMs, runMs } = each
      return [...key, queued, started, succeeded, failed, cancelled, retried, lost, ended, waitMs, runMs]
    })
    this.#minutes = new Map()
    return rows
  }
}

function countOf({ type, data }: RecordedEvent): Count | undefined {
  switch (type) {
    case 'Queued':
      return 'queued'
    case 'Leased':
      return 'started'
    case 'Finished':
      return (data as Finished).outcome
    case 'Cancelled':
      return 'cancelled'
    case 'Failed':
      return (data as Failed).cause === 'lease-lost' ? 'lost' : undefined
    // What a lost lease is followed by is counted as lost.
    case 'Retried':
      return (data as Retried).by === 'lease-lost' ? undefined : 'retried'
    default:
      return undefined
  }
}
