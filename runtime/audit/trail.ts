/** What the audit stream says of checkpoints. */
import type { CheckpointSigned } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { LogReader } from '../ports/event-store.js'

/** A checkpoint as it was signed, with where in the log its range ends. */
export interface Signed extends CheckpointSigned {
  readonly revision: number
  readonly at: number
  /** Of its last leaf. */
  readonly end: Position
}

/** The last one; undefined: none was ever signed. */
export async function lastSigned(log: LogReader): Promise<Signed | undefined> {
  for await (const page of log.readStream(AUDIT_STREAM, { backwards: true })) {
    const event = page.find(({ type }) => type === 'CheckpointSigned')
    if (event !== undefined) return toSigned(event, await positionOf(log, (event.data as CheckpointSigned).begun))
  }
  return undefined
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

/** '' for an event that is not there. */
export async function positionOf(log: LogReader, revision: number): Promise<Position> {
  for await (const [event] of log.readStream(AUDIT_STREAM, { from: revision, limit: 1 })) {
    if (event?.revision === revision) return event.position
  }
  return ''
}

const toSigned = ({ data, revision, at }: RecordedEvent, end: Position): Signed => ({
  ...(data as CheckpointSigned),
  ...{ revision, at, end },
})

/** Whether anybody has begun to make checkpoints. */
export async function hasBegun(log: LogReader): Promise<boolean> {
  for await (const page of log.readStream(AUDIT_STREAM)) {
    if (page.some(({ type }) => type === 'CheckpointBegun')) return true
  }
  return false
}
