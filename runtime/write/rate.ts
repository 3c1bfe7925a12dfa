/** Limits on how many jobs may be enqueued, as commands look at them. */
import type { ClaimState } from '../../domain/claim/claim.js'
import type { Counted } from '../../domain/claim/events.js'
import type { RateLimit } from '../../domain/claim/rate.js'
import { counted, windowAt } from '../../domain/claim/rate.js'
import type { Draft } from '../../domain/event.js'
import type { Queued } from '../../domain/job/events.js'
import { RateLimited } from '../../domain/rejection.js'
import type { Seen, Verdict } from './command.js'

/** What a job counts against. */
export interface Rate extends RateLimit {
  readonly stream: string
}

/** A job that is to be counted. */
export interface Limited {
  readonly facts: Pick<Queued, 'type' | 'channel'>
  readonly rate: Rate
}

/**
 * Facts that count these jobs, or the refusal of all. That somebody was refused is a fact too, once in a window, so that every
 * process knows who was the first: the refusal is then the answer to a command that has recorded it.
 */
export function count(
  jobs: readonly Limited[],
  seen: (stream: string) => Seen,
  now: number,
): Draft[] | Verdict<RateLimited> {
  const drafts: Draft[] = []
  for (const [rate, own] of byRate(jobs)) {
    const window = windowAt(seen(rate.stream).state as ClaimState<Counted> | undefined, rate, now)
    if (window.count + own.length <= rate.limit) {
      drafts.push(counted(rate.stream, window, own.length))
      continue
    }
    const { type, channel = '' } = (own[0] as Limited).facts
    const reason = window.refused ? 'exceeded' : 'reached'
    const refusal = new RateLimited({ type, channel, ...rate, reason, resetsAt: window.from + rate.perMs })
    return window.refused ? refusal : { drafts: [counted(rate.stream, window, 'refused')], answer: refusal }
  }
  return drafts
}

function byRate(jobs: readonly Limited[]): Iterable<readonly [Rate, readonly Limited[]]> {
  const found = new Map<string, [Rate, Limited[]]>()
  for (const job of jobs) {
    const known = found.get(job.rate.stream)
    if (known === undefined) found.set(job.rate.stream, [job.rate, [job]])
    else known[1].push(job)
  }
  return found.values()
}
