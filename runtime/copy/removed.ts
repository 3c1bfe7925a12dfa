/**
 * Jobs that were removed are no part of a copy, whatever the source still shows of them; but their names stay burnt, so that
 * nobody may take one of their ids. The port burns a name only by taking its stream out: a stream is made to be taken out.
 */
import type { JobsRemoved } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import { type BatchEventType, isBatchStream } from '../../domain/batch/events.js'
import type { Position } from '../../domain/event.js'
import { jobStream, NAME_TAKEN } from '../../domain/job/events.js'
import type { Digest } from '../ports/digest.js'
import type { AppendGroup, EventStore, LogReader } from '../ports/event-store.js'
import type { Writer } from './writer.js'

const BATCH_EVENTS: readonly BatchEventType[] = ['BatchPart', 'BatchSubmitted']
const SLICE = 500
/** Streams that are looked at beside each other. */
const LOOKS = 50

/** Streams that have left the source, and when that was told. */
export type Gone = ReadonlyMap<string, number>

/** A log, read with its archive. */
interface Source extends Pick<EventStore, 'capabilities'> {
  readonly log: LogReader
}

/** Jobs of which nobody has the events: those that are archived are part of the log. */
export const removedIn = ({ jobs, segment }: JobsRemoved): JobsRemoved['jobs'] => (segment === undefined ? jobs : [])

/** Where removing takes two steps, a stream that has had only the first of them is still there. */
export async function goneFrom(from: Source, until: Position): Promise<Gone> {
  const gone = new Map<string, number>()
  for await (const page of from.log.readAll({ until, streams: [AUDIT_STREAM], types: ['JobsRemoved'] })) {
    for (const { data, at } of page) for (const { id } of removedIn(data as JobsRemoved)) gone.set(jobStream(id), at)
  }
  if (from.capabilities.hidesRemoved === false) await addBatches(gone, from, until)
  if (from.capabilities.atomicGroups) return gone
  const streams = [...gone.keys()]
  for (let next = 0; next < streams.length; next += LOOKS) {
    const slice = streams.slice(next, next + LOOKS)
    const there = await Promise.all(slice.map((stream) => isThere(from.log, stream)))
    for (const [index, stream] of slice.entries()) if (there[index] === true) gone.delete(stream)
  }
  return gone
}

/** A batch that is made leaves its stream, with all payloads in it, to a log that goes on showing it. */
async function addBatches(gone: Map<string, number>, { log }: Source, until: Position): Promise<void> {
  for await (const page of log.readAll({ until, types: BATCH_EVENTS })) {
    for (const { stream, at } of page) if (isBatchStream(stream)) gone.set(stream, at)
  }
}

async function isThere(store: LogReader, stream: string): Promise<boolean> {
  for await (const page of store.readStream(stream, { limit: 1 })) return page.length > 0
  return false
}

/** Doing it again changes nothing. */
export async function burnNames(to: EventStore, gone: Gone, writer: Writer, digest: Digest): Promise<void> {
  const names = [...gone]
  for (let next = 0; next < names.length; next += SLICE) {
    const slice = names.slice(next, next + SLICE)
    const states = await writer.take(slice.map(([stream, at]) => placeholder(stream, at, digest)))
    // One that is there was copied before it was removed.
    const standing = slice.filter((_, index) => states[index] !== 'burnt')
    if (standing.length > 0) await to.remove(standing.map(([stream]) => stream))
  }
}

/** Whoever takes the same name again appends the same event. */
function placeholder(stream: string, at: number, digest: Digest): AppendGroup {
  const hex = digest.sha256(NAME_TAKEN, stream)
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  return { expect: new Map([[stream, 'none']]), events: [{ stream, id, type: NAME_TAKEN, at, data: {} }] }
}
