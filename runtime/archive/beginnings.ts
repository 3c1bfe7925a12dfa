import type { StreamRange } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { EventTexts, Position } from '../../domain/event.js'
import { isTriggerStream, triggerIdOf, triggerStream } from '../../domain/trigger/events.js'
import { workerStream } from '../../domain/worker/events.js'
import type { EventStore } from '../ports/event-store.js'
import type { Feed } from '../read/feed.js'
import { toTexts } from '../read/texts.js'
import type { Catalogue } from './catalogue.js'
import { Gathered } from './segment-writer.js'

/** Streams that go on for as long as the ledger does. */
const STREAMS = [AUDIT_STREAM, triggerStream(''), workerStream('')]

/** What one segment takes: from each stream what it has up to a revision. */
interface Beginning {
  readonly events: readonly EventTexts[]
  readonly cut: readonly StreamRange[]
}

/** Finds what can be cut off long streams. */
export class Beginnings {
  readonly #options: { readonly store: EventStore; readonly feed: Feed; readonly catalogue: Catalogue }
  /** By stream: the first revision that is not to be taken. */
  readonly #ends = new Map<string, number>()

  constructor(options: { readonly store: EventStore; readonly feed: Feed; readonly catalogue: Catalogue }) {
    this.#options = options
  }

  /** What lies up to a position. Each is to be gone before the next is asked for. */
  async *upTo(until: Position): AsyncGenerator<Beginning, void, undefined> {
    if (until === '') return
    const { store } = this.#options
    let draft = new Gathered()
    for await (const page of store.readAll({ until, streams: STREAMS, bodies: true })) {
      for (const event of page) {
        if (event.revision >= (await this.#endOf(event.stream)) || this.#isTaken(event)) continue
        draft.add(toTexts(event))
        if (!draft.isFull) continue
        yield beginningOf(draft)
        draft = new Gathered()
      }
    }
    if (draft.events.length > 0) yield beginningOf(draft)
  }

  /** A store may go on showing what was cut off. */
  #isTaken({ stream, revision }: { readonly stream: string; readonly revision: number }): boolean {
    return this.#options.catalogue.cutsOf(stream).some(({ to }) => revision <= to)
  }

  async #endOf(stream: string): Promise<number> {
    let end = this.#ends.get(stream)
    if (end === undefined) {
      end = 0
      for await (const [last] of this.#options.store.readStream(stream, { backwards: true, limit: 1 }))
        end = last?.revision ?? 0
      end = Math.min(end, this.#neededFrom(stream))
      this.#ends.set(stream, end)
    }
    return end
  }

  /** The event with a trigger's payload is read each time it fires: that is not for an archive to answer. */
  #neededFrom(stream: string): number {
    const trigger = isTriggerStream(stream) ? this.#options.feed.triggers.get(triggerIdOf(stream)) : undefined
    if (trigger === undefined) return Number.POSITIVE_INFINITY
    return Math.min(trigger.payloadAt, trigger.window?.revision ?? Number.POSITIVE_INFINITY)
  }
}

function beginningOf({ events }: Gathered): Beginning {
  const ranges = new Map<string, [stream: string, from: number, to: number]>()
  for (const { stream, revision } of events) {
    const range = ranges.get(stream)
    if (range === undefined) ranges.set(stream, [stream, revision, revision])
    else range[2] = revision
  }
  return { events, cut: [...ranges.values()] }
}
