import { toHex } from '../../domain/audit/encoding.js'
import type { Entries } from '../../domain/audit/entries.js'
import type { ExpungedJobs, SegmentSealed } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { EventTexts } from '../../domain/event.js'
import type { Expunged } from '../../domain/job/events.js'
import { isJobStream, jobStream } from '../../domain/job/events.js'
import { endsWindow, replacesPayload } from '../../domain/trigger/decide.js'
import { isTriggerStream, triggerStream } from '../../domain/trigger/events.js'
import { factsOf } from './facts.js'
import type { AuditFinding, Named } from './findings.js'
import { placeOf, wordsOf } from './findings.js'

/**
 * Bodies that are gone, and what is on record of that: `Expunged`, in the same stream and behind them; of a job that is archived the
 * `SegmentSealed` of the segment that has taken the place of its own; of a trigger, that it had no use for them any more.
 */
export class Redactions {
  /** By stream, those that nothing was found about yet. */
  readonly #open = new Map<string, Map<number, { readonly event: Named; readonly hash: string }>>()
  erased = 0

  /** As `follow`: of most entries no text has to be made. */
  followEntry(entry: Entries): void {
    if (entry.isErased || (this.#open.size > 0 && mayClose(entry))) this.follow(entry.texts())
  }

  follow(event: EventTexts): void {
    const { stream, type, body } = event
    if (body !== undefined && 'hash' in body && !isCarrier(event)) {
      this.erased += 1
      const open = this.#open.get(stream) ?? new Map()
      this.#open.set(stream, open.set(event.revision, { event: placeOf(event), hash: toHex(body.hash) }))
    } else if (isTriggerStream(stream)) this.#follow(event)
    else if (type === 'Expunged') this.#close(stream, factsOf<Partial<Expunged>>(event)?.hashes)
    else if (type === 'SegmentSealed' && stream === AUDIT_STREAM)
      for (const { id, hashes } of expungedIn(event)) this.#close(jobStream(id), hashes)
  }

  /** What a trigger has collected goes with its window, and its payload with the next one: see `leftBehind`. */
  #follow(event: EventTexts): void {
    const open = this.#open.get(event.stream)
    if (open === undefined) return
    const told = { type: event.type, data: factsOf<object>(event) ?? {} }
    const isGone = told.type === 'TriggerRemoved'
    for (const [revision, { event: before }] of open) {
      const isOver = before.type.startsWith('Debounce') ? endsWindow(told) : replacesPayload(told)
      if (isGone || isOver) open.delete(revision)
    }
    if (open.size === 0) this.#open.delete(event.stream)
  }

  #close(stream: string, hashes: Expunged['hashes'] = {}): void {
    const open = this.#open.get(stream)
    for (const [revision, hash] of Object.entries(hashes)) {
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

const TRIGGERS = triggerStream('').charCodeAt(0)

const mayClose = (entry: Entries): boolean =>
  entry.firstLetter === TRIGGERS || entry.hasType('Expunged') || entry.hasType('SegmentSealed')

/** What it carried for others is in its place: then it is cleared away. */
const isCarrier = (event: EventTexts): boolean =>
  !isJobStream(event.stream) && factsOf<{ readonly rest?: unknown }>(event)?.rest !== undefined

function expungedIn(event: EventTexts): ExpungedJobs['jobs'] {
  const { jobs } = factsOf<Partial<SegmentSealed>>(event)?.expunged ?? {}
  return Array.isArray(jobs) ? jobs : []
}
