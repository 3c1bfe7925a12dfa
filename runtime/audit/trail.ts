/** What the audit stream says of checkpoints. */

import { toBase64 } from '../../domain/audit/encoding.js'
import { NoteUnreadable } from '../../domain/audit/errors.js'
import type { CheckpointSigned, JobsRemoved } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { isLeaf, isLeafEntry } from '../../domain/audit/leaf.js'
import type { Checkpoint } from '../../domain/audit/note.js'
import { parseCheckpoint, parseNote } from '../../domain/audit/note.js'
import type { EventTexts, Position, RecordedEvent } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import type { LogReader } from '../ports/event-store.js'
import { LogDiffers } from './errors.js'

/** A checkpoint as it was signed, with where in the log its range ends. */
export interface Signed extends CheckpointSigned {
  readonly revision: number
  readonly at: number
  /** Of its last leaf. */
  readonly end: Position
}

/** The last one, or the last before a revision; undefined: none was ever signed. Throws LogDiffers where its own facts contradict it. */
export async function lastSigned(log: LogReader, before?: number): Promise<Signed | undefined> {
  const from = before === undefined ? {} : { from: before - 1 }
  if (before === 0) return undefined
  for await (const page of log.readStream(AUDIT_STREAM, { backwards: true, ...from })) {
    const event = page.find(({ type }) => type === 'CheckpointSigned')
    if (event !== undefined)
      return checked(toSigned(event, await positionOf(log, (event.data as CheckpointSigned).begun)))
  }
  return undefined
}

/** Whoever goes on from a wrong one signs what can never be taken back. */
export function checked(signed: Signed): Signed {
  const { size, root } = noteOf(signed)
  if (signed.size === size && signed.root === toBase64(root)) return signed
  throw new LogDiffers('The last checkpoint is not what was signed: audit.verify tells more.')
}

function noteOf({ note }: Signed): Pick<Checkpoint, 'size' | 'root'> {
  try {
    return parseCheckpoint(parseNote(note))
  } catch (cause) {
    if (!(cause instanceof NoteUnreadable)) throw cause
    throw new LogDiffers('The last checkpoint is none: audit.verify tells more.', { cause })
  }
}

/** All of them, oldest first. */
export async function allSigned(log: LogReader): Promise<Signed[]> {
  const signed: Signed[] = []
  const begun = new Map<number, Position>()
  for await (const page of log.readStream(AUDIT_STREAM)) {
    for (const event of page) {
      if (event.type === 'CheckpointBegun') begun.set(event.revision, event.position)
      if (event.type !== 'CheckpointSigned') continue
      const end = begun.get((event.data as CheckpointSigned).begun)
      if (end !== undefined) signed.push(toSigned(event, end))
      begun.clear()
    }
  }
  return signed
}

/** Throws LogDiffers for an event that is not there. */
export async function positionOf(log: LogReader, revision: number): Promise<Position> {
  for await (const [event] of log.readStream(AUDIT_STREAM, { from: revision, limit: 1 })) {
    if (event?.revision === revision) return event.position
  }
  throw new LogDiffers(`The event at revision ${revision} of ${AUDIT_STREAM} is not there: audit.verify tells more.`)
}

const toSigned = ({ data, revision, at }: RecordedEvent, end: Position): Signed => ({
  ...(data as CheckpointSigned),
  ...{ revision, at, end },
})

export type LeafFilter = (event: Pick<EventTexts, 'stream' | 'type' | 'data'>) => boolean

/**
 * Which events are leaves. Streams of jobs that were removed before anybody made checkpoints, and whose leaves nobody has listed, are
 * none; of those that were archived then, what is in no segment. `lingers`: the store may show them still.
 */
export async function leafFilter(log: LogReader, lingers: boolean): Promise<LeafFilter> {
  if (!lingers) return isLeaf
  const { removed, archived } = await unlistedStreams(log)
  const isInSegment = ({ stream, type, data }: Parameters<LeafFilter>[0]): boolean =>
    type !== 'Condemned' || !archived.has(stream) || !data.includes('"leaves":true')
  return (event) => isLeaf(event) && !removed.has(event.stream) && isInSegment(event)
}

/** As `leafFilter`, of the entry at hand: where nothing lingers no text is made of it. */
export async function entryFilter(log: LogReader, lingers: boolean): Promise<typeof isLeafEntry> {
  if (!lingers) return isLeafEntry
  const isOne = await leafFilter(log, lingers)
  return (entry) => isOne(entry.texts())
}

async function unlistedStreams(
  log: LogReader,
): Promise<{ readonly removed: ReadonlySet<string>; readonly archived: ReadonlySet<string> }> {
  const [removed, archived] = [new Set<string>(), new Set<string>()]
  for await (const page of log.readStream(AUDIT_STREAM, { bodies: true })) {
    for (const { type, data, body } of page) {
      if (type !== 'JobsRemoved' || body !== undefined) continue
      const { segment, jobs } = data as JobsRemoved
      const streams = segment === undefined ? removed : archived
      for (const { id } of jobs) streams.add(jobStream(id))
    }
  }
  return { removed, archived }
}

/** Whether anybody has begun to make checkpoints. */
export async function hasBegun(log: LogReader): Promise<boolean> {
  for await (const page of log.readStream(AUDIT_STREAM)) {
    if (page.some(({ type }) => type === 'CheckpointBegun')) return true
  }
  return false
}
