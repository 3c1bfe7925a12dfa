import { toHex } from '../../domain/audit/encoding.js'
import type { EventTexts } from '../../domain/event.js'
import type { Expunged } from '../../domain/job/events.js'
import { isJobStream } from '../../domain/job/events.js'
import type { AuditFinding, Named } from './findings.js'
import { placeOf, wordsOf } from './findings.js'

/** Bodies that are gone, and what is on record of that: `Expunged`, in the same stream and behind them. */
export class Redactions {
  /** By stream, those that nothing was found about yet. */
  readonly #open = new Map<string, Map<number, { readonly event: Named; readonly hash: string }>>()
  erased = 0

  follow(event: EventTexts): void {
    const { stream, type, body } = event
    if (body !== undefined && 'hash' in body && isJobStream(stream)) {
      this.erased += 1
      const open = this.#open.get(stream) ?? new Map()
      this.#open.set(stream, open.set(event.revision, { event: placeOf(event), hash: toHex(body.hash) }))
    } else if (type === 'Expunged' && this.#open.has(stream)) this.#close(event)
  }

  #close({ stream, data }: EventTexts): void {
    const open = this.#open.get(stream)
    for (const [revision, hash] of Object.entries(hashesIn(data))) {
      if (open?.get(Number(revision))?.hash === hash) open.delete(Number(revision))
    }
    if (open?.size === 0) this.#open.delete(stream)
  }

  get findings(): AuditFinding[] {
    return [...this.#open.values()].flatMap((open) =>
      [...open.values()].map(({ event }) => ({
        kind: 'erased',
        message: `the body of ${wordsOf(event)} is gone, and nothing on record says so`,
        ...event,
      })),
    )
  }
}

/** None where somebody has written something else there: then they are missed. */
function hashesIn(data: string): Expunged['hashes'] {
  try {
    return (JSON.parse(data) as Expunged).hashes ?? {}
  } catch {
    return {}
  }
}
