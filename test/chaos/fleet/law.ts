import type { RecordedEvent } from '../../../domain/event.js'
import type { JobEvent } from '../../../domain/job/events.js'

/** A job's event, with its body if that was asked for. */
export type JobRecord = RecordedEvent & JobEvent

export interface Law {
  /** What is wrong with this event of a job, after all those before it. */
  see(id: string, event: JobRecord): string[]
  /** What is missing after the last event, each with its job. */
  end(): string[]
}
