import { AUDIT_STREAM, type JobsRemoved } from '../../domain/audit/events.js'
import type { Position } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import type { LogReader } from '../ports/event-store.js'
import type { Checkpoint } from '../ports/views.js'

/** Whether rows with this checkpoint are of this log and of this version. */
export async function fits(
  log: LogReader,
  { logId, version }: Pick<Checkpoint, 'logId' | 'version'>,
  kept: Checkpoint,
): Promise<boolean> {
  if (kept.logId !== logId || kept.version !== version) return false
  // Nothing was read yet that came into it.
  if (kept.position === START) return true
  for await (const [event] of log.readStream(kept.stream, { from: kept.revision, limit: 1 })) {
    return event?.id === kept.eventId && event.position === kept.position
  }
  return isJobStream(kept.stream) && wasRemoved(log, jobIdOf(kept.stream), kept.position)
}

/** A job that leaves the log takes the event along at which a checkpoint stood; the log says so later on. */
async function wasRemoved(log: LogReader, id: string, after: Position): Promise<boolean> {
  for await (const page of log.readAll({ after, streams: [AUDIT_STREAM], types: ['JobsRemoved'] })) {
    for (const { data } of page) if ((data as JobsRemoved).jobs.some((job) => job.id === id)) return true
  }
  return false
}

export function isSame(one: Checkpoint | undefined, other: Checkpoint | undefined): boolean {
  return one?.position === other?.position && one?.eventId === other?.eventId && one?.logId === other?.logId
}
