/** Claims to unique keys, as commands look at them. */
import { v5 as uuidOf } from 'uuid'
import type { ClaimState } from '../../domain/claim/claim.js'
import { isTaken } from '../../domain/claim/claim.js'
import { uniqueStream } from '../../domain/claim/events.js'
import { JobledgerError } from '../../domain/errors.js'
import type { Rescheduled } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import type { Seen } from './command.js'

/** Namespace of the hashes that name claim streams. */
const CLAIM_NAMESPACE = '3d1b3a9e-0c1f-4f0e-9a55-6f6a1f0f5c51'

/** The name of what is told by this text, in a claim stream. */
export const claimName = (text: string): string => uuidOf(text, CLAIM_NAMESPACE)

export const uniqueStreamOf = (identity: string): string => uniqueStream(claimName(identity))

/** A payload as a key. */
export const storedText = (body: string | Uint8Array | undefined): string =>
  typeof body === 'string' ? body : `bytes:${hex(body)}`

const hex = (bytes: Uint8Array | undefined): string =>
  Array.from(bytes ?? [], (byte) => byte.toString(16).padStart(2, '0')).join('')

/** The claim a job makes to be the only one of its key. */
export interface UniqueClaim {
  readonly stream: string
  /** How long it holds (ms from now); absent: until the job ends. */
  readonly windowMs?: number
  /** A holder that still waits takes over the newcomer's payload, and this. Absent: it stays as it is. */
  readonly replace?: Pick<Rescheduled, 'runAt' | 'priority'> | undefined
}

/** The job that a claim names. */
export interface Holder {
  readonly jobId: string
  /** Its stream has left the log. */
  readonly gone: boolean
}

/** Who holds a claim, by its stream, as found out by trying. */
export type Holders = ReadonlyMap<string, Holder>

/** Not for the caller: the decision must look at one more job. */
export class HolderUnseen extends JobledgerError {
  readonly code = 'HOLDER_UNSEEN'
  readonly family = 'job'
  readonly stream: string
  readonly holder: Holder
  constructor(stream: string, holder: Holder) {
    super(`The claim ${stream} is held by job ${holder.jobId}${holder.gone ? ', which was removed' : ''}.`)
    this.stream = stream
    this.holder = holder
  }
}

/** The streams that the decision needs. */
export function streamsOf(stream: string, holders: Holders): string[] {
  const holder = holders.get(stream)
  return holder === undefined || holder.gone ? [stream] : [stream, jobStream(holder.jobId)]
}

/** The job that keeps others out; undefined when the key is free. `needsHolder`: its state is wanted in any case. */
export function holderOf(
  stream: string,
  seen: (stream: string) => Seen,
  holders: Holders,
  now: number,
  needsHolder: boolean,
): string | undefined | HolderUnseen {
  const claim = seen(stream).state as ClaimState | undefined
  if (claim === undefined) return undefined
  const { jobId, until } = claim
  const known = holders.get(stream)
  // Within its window, and after it, it does not matter what the holder does.
  const isSettled = until !== undefined && (now >= until || !needsHolder)
  if (isSettled) return isTaken(claim, undefined, now) ? jobId : undefined
  // Another one may have come to hold it since we looked.
  if (known?.jobId !== jobId) return new HolderUnseen(stream, { jobId, gone: false })
  const holder = known.gone ? undefined : (seen(jobStream(jobId)).state as JobState | undefined)
  if (holder === undefined && !known.gone) return new HolderUnseen(stream, { jobId, gone: true })
  return isTaken(claim, holder, now) ? jobId : undefined
}

/** Until all who hold the keys that the job claims have been looked at. */
export async function withHolders<A>(submit: (holders: ReadonlyMap<string, Holder>) => Promise<A>): Promise<A> {
  const holders = new Map<string, Holder>()
  for (;;) {
    try {
      return await submit(holders)
    } catch (error) {
      if (!(error instanceof HolderUnseen)) throw error
      holders.set(error.stream, error.holder)
    }
  }
}
