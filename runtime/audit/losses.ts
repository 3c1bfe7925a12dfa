/** What cannot be checked, because files of the archive are missing or damaged. */
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { Position } from '../../domain/event.js'
import { isJobStream } from '../../domain/job/events.js'
import type { LostSegment } from '../archive/lost-segments.js'
import type { AuditFinding } from './findings.js'
import { leavesWords } from './findings.js'

/** Streams that a finding names at most. */
const NAMED = 5

interface Loss extends LostSegment {
  /** Kept leaves without an event that may lie in it, from the first to the last. */
  from: number
  to: number
}

/** A kept leaf without its event, and what stands before and behind it. */
export interface Missing {
  readonly leaf: number
  readonly after?: Position | undefined
  readonly before?: Position | undefined
  /** The log names its job as archived in such a file. */
  readonly isListed: boolean
}

export class Losses {
  readonly #losses: readonly Loss[]
  /** Leaves that are taken to lie in them. */
  count = 0

  constructor(lost: readonly LostSegment[]) {
    this.#losses = lost.map((each) => ({ ...each, from: Number.POSITIVE_INFINITY, to: -1 }))
  }

  get isNone(): boolean {
    return this.#losses.length === 0
  }

  /** Those that cannot lie in them: what nothing lists has to fit between what stands around it, and all into the number of events that they had. */
  unexcused(missing: readonly Missing[]): number[] {
    const listed = missing.filter(({ isListed }) => isListed).length
    let room = this.#losses.reduce((sum, { segment }) => sum + segment.events, 0) - listed
    const left: number[] = []
    for (const each of missing) {
      const there = this.#losses.filter(
        ({ segment: { from, to } }) =>
          (each.after === undefined || to > each.after) && (each.before === undefined || from < each.before),
      )
      if (!each.isListed && (there.length === 0 || room <= 0)) {
        left.push(each.leaf)
        continue
      }
      if (!each.isListed) room -= 1
      this.count += 1
      for (const loss of there) {
        loss.from = Math.min(loss.from, each.leaf)
        loss.to = Math.max(loss.to, each.leaf)
      }
    }
    return left
  }

  /** What says that a body was erased on record may lie in them. */
  mayTellOf(stream: string | undefined): boolean {
    const cut = this.#losses.flatMap(({ segment }) => segment.cut ?? []).map(([name]) => name)
    return stream !== undefined && cut.some((name) => name === stream || (name === AUDIT_STREAM && isJobStream(stream)))
  }

  /** `unchecked`: leaves before this one cannot be checked at all, for their hashes are in them. */
  findings(unchecked: number): AuditFinding[] {
    const findings = this.#losses.map(({ segment, error, from, to }): AuditFinding => {
      const { name: file, events, jobs, cut = [] } = segment
      const streams = cut.map(([stream]) => stream)
      const named =
        streams.slice(0, NAMED).join(', ') + (streams.length > NAMED ? ` and ${streams.length - NAMED} more` : '')
      const what = jobs > 0 ? `of ${jobs} ${jobs === 1 ? 'job' : 'jobs'}` : `of ${named}`
      const where = to === -1 ? '' : `, which are among ${leavesWords(from, to)},`
      const message = `${error.message} Its ${events} events ${what}${where} cannot be checked`
      return { kind: 'missing', message, file, events, ...(to !== -1 && { leaves: { from, to } }) }
    })
    if (unchecked === 0) return findings
    const message = `${leavesWords(0, unchecked - 1)} cannot be checked: the hashes that the log kept of them are in a file that is missing or damaged`
    return [...findings, { kind: 'missing', message, leaves: { from: 0, to: unchecked - 1 } }]
  }
}
