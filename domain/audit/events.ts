/** The facts of the `audit` stream. Storage format: see `../event.ts` for the rules under which it may grow. */
import type { Position } from '../event.js'
import type { Outcome } from '../job/evolve.js'

/** A job whose stream has left the log. */
export interface RemovedJob {
  readonly id: string
  readonly outcome: Outcome
  readonly queue: string
  readonly type?: string
  /** When it was first queued (ms), and where in the log that was. */
  readonly queuedAt: number
  readonly position: Position
  /** Only of one that is archived: what can be asked of it without its events. */
  readonly endedAt?: number
  readonly channel?: string
  readonly dependsOn?: readonly string[]
  readonly expunged?: true
}

/** And where its events are, if they were archived. */
export interface ArchivedJob extends RemovedJob {
  readonly segment?: string
}

/**
 * Recorded in the very commit that takes the streams of these jobs out of the log; where a store appends to one stream at a
 * time, before that, and perhaps twice. Their names stay burnt. Once the log has checkpoints, the body has, of each job, its events' hashes
 * without their place (32 bytes each, from revision 0 on): with stream and revision they make the leaves, and no others.
 */
export interface JobsRemoved {
  /** Name of the retention rule; absent: an operator. */
  readonly rule?: string
  /** Name of the archived segment that holds all events of these jobs; absent: nobody has them any more. */
  readonly segment?: string
  /** Name of the segment that held them until now: they had been archived before. In one commit with what has taken its place. */
  readonly outOf?: string
  readonly jobs: readonly RemovedJob[]
  /** How many events of each of these jobs the body has. */
  readonly events?: readonly number[]
}

/** Why jobs go, where to, and where from. */
export type Cause = Pick<JobsRemoved, 'rule' | 'segment' | 'outOf'>

/** Events of one stream, from one revision to another, both included. */
export type StreamRange = readonly [stream: string, from: number, to: number]

/**
 * A file of events is sealed: what lies in it may leave the log from here on. It holds either whole streams of jobs, which leave
 * with the `JobsRemoved` that name it, or the beginnings of other streams.
 */
export interface SegmentSealed {
  /** Of the file, in the folder of the archive. */
  readonly name: string
  /** Of the log whose positions are in it: another log that holds a copy of this event has the events themselves. */
  readonly logId: string
  /** Of the file as it lies there: hex, and its length in bytes. */
  readonly sha256: string
  readonly bytes: number
  readonly events: number
  /** How many jobs; 0 for the beginnings of other streams. */
  readonly jobs: number
  /** Positions of the first event and of the last. */
  readonly from: Position
  readonly to: Position
  /** The least `at` of all events, and the greatest (ms). */
  readonly since: number
  readonly until: number
  /** The beginnings of streams that are in it. */
  readonly cut?: readonly StreamRange[]
  /** The segment in whose place it is. */
  readonly replaces?: string
  /** The bodies that it has not any more. */
  readonly expunged?: ExpungedJobs
}

/** Erased from a segment: as `Expunged` in a job's own stream. */
export interface ExpungedJobs {
  readonly rule: string
  readonly jobs: readonly {
    readonly id: string
    readonly queuedAt: number
    /** By revision, in hex. */
    readonly hashes: Readonly<Record<string, string>>
  }[]
}

/** A file of this name is about to be written. Until it is sealed it is nobody's. */
export interface SegmentBegun {
  readonly name: string
}

/** Nothing is left in a segment, or one that was begun is not to be sealed any more: the file is nobody's. */
export interface SegmentDropped {
  readonly name: string
}

/** On a store that appends to one stream at a time: the streams of these jobs, which are removed, are out of the log. */
export interface StreamsRemoved {
  readonly ids: readonly string[]
}

/** A checkpoint covers all up to and with this event. One that nobody signs means nothing. */
export type CheckpointBegun = Readonly<Record<string, never>>

/** The body: leaf hashes, 32 bytes each, of the range that the event of revision `begun` ends, from leaf `from` on. */
export interface LeavesHashed {
  readonly begun: number
  readonly from: number
  readonly count: number
}

/** The log up to and with the event of revision `begun` is this tree; the leaves from `from` on are new in it. */
export interface CheckpointSigned {
  readonly begun: number
  readonly from: number
  readonly size: number
  /** In base64, as the roots of the tree's largest whole subtrees, from left to right. */
  readonly root: string
  readonly frontier: readonly string[]
  /** The signed note: what outsiders keep. */
  readonly note: string
  /** The public key that it was signed with. */
  readonly key: string
}

export const AUDIT_STREAM = 'audit'

/** Each with the segment that has it. */
export const archivedIn = ({ jobs, segment }: JobsRemoved): readonly ArchivedJob[] =>
  segment === undefined ? jobs : jobs.map((job) => ({ ...job, segment }))
