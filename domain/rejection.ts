/** Why a command is refused. Deciders return these; the runtime gives them to the caller. Nothing was stored. */
import { JobledgerError, show } from './errors.js'

abstract class JobRejection extends JobledgerError {
  readonly family: 'job' | 'lease' = 'job'
  readonly jobId: string
  constructor(jobId: string, message: string) {
    super(message)
    this.jobId = jobId
  }
}

/** The caller's own id is taken by a job with other content. */
export class JobExists extends JobRejection {
  readonly code = 'JOB_EXISTS'
  constructor(jobId: string, difference: string) {
    super(jobId, `Job ${jobId} exists already with another ${difference}.`)
  }
}

export class JobUnknown extends JobRejection {
  readonly code = 'JOB_UNKNOWN'
  constructor(jobId: string) {
    super(jobId, `There is no job ${jobId}.`)
  }
}

/** The job has ended already: it cannot be cancelled any more. */
export class JobEnded extends JobRejection {
  readonly code = 'JOB_ENDED'
  readonly outcome: string
  constructor(jobId: string, outcome: string) {
    super(jobId, `Job ${jobId} has already ended: ${outcome}.`)
    this.outcome = outcome
  }
}

/** The job has not ended: it can be neither sent round again nor expunged. */
export class JobNotEnded extends JobRejection {
  readonly code = 'JOB_NOT_ENDED'
  constructor(jobId: string, phase: string) {
    super(jobId, `Job ${jobId} has not ended, it is ${phase}.`)
  }
}

/** It is no dead letter: it has not ended, or not as failed. */
export class JobNotFailed extends JobRejection {
  readonly code = 'JOB_NOT_FAILED'
  constructor(jobId: string, state: string) {
    super(jobId, `Job ${jobId} is no dead letter: it is ${state}.`)
  }
}

/** Its payload was erased: there is nothing to run it with. */
export class JobExpunged extends JobRejection {
  readonly code = 'JOB_EXPUNGED'
  constructor(jobId: string) {
    super(jobId, `Job ${jobId} cannot run again: its payload was erased.`)
  }
}

/** Who has removed a job, when (ms) and why, as far as it is on record. */
export interface RemovalFacts {
  readonly at: number
  readonly actor?: string
  readonly reason?: string
  /** Of retention; absent: an operator. */
  readonly rule?: string
}

/** The job was removed, by an operator or by retention. What is left is how it ended, and who removed it. */
export class JobRemoved extends JobRejection {
  readonly code = 'JOB_REMOVED'
  readonly outcome: string
  /** Only where somebody looked it up: `history` does. */
  readonly removal: RemovalFacts | undefined
  constructor(jobId: string, outcome: string, removal?: RemovalFacts) {
    super(
      jobId,
      `Job ${jobId} was removed${who(removal)}; it had ${outcome === 'cancelled' ? 'been cancelled' : outcome}.`,
    )
    this.outcome = outcome
    this.removal = removal
  }
}

function who(removal: RemovalFacts | undefined): string {
  if (removal === undefined) return ''
  const { at, actor, reason, rule } = removal
  const by = [rule !== undefined && ` by the rule ${show(rule)}`, actor !== undefined && ` by ${actor}`]
  const said = [...by, reason !== undefined && ` (${reason})`].filter(Boolean).join('')
  return ` at ${new Date(at).toISOString()}${said}`
}

/** Its events lie in a segment of the archive, where they can be read: it is as it was for good. */
export class JobArchived extends JobRejection {
  readonly code = 'JOB_ARCHIVED'
  readonly segment: string
  constructor(jobId: string, segment: string) {
    super(
      jobId,
      `Job ${jobId} is archived (segment ${segment}): it can be read, expunged and removed, and nothing else.`,
    )
    this.segment = segment
  }
}

/** Jobs that have not ended depend on this one: it is removed only by force. */
export class JobNeeded extends JobRejection {
  readonly code = 'JOB_NEEDED'
  readonly dependents: readonly string[]
  constructor(jobId: string, dependents: readonly string[]) {
    super(
      jobId,
      `Job ${jobId} is needed by ${dependents.slice(0, 3).join(', ')}${dependents.length > 3 ? ' and others' : ''}.`,
    )
    this.dependents = dependents
  }
}

/** Another job holds the unique key now: this one cannot be sent round again beside it. */
export class JobNotUnique extends JobRejection {
  readonly code = 'JOB_NOT_UNIQUE'
  readonly holder: string
  constructor(jobId: string, holder: string) {
    super(jobId, `Job ${jobId} cannot run again: job ${holder} holds its unique key.`)
    this.holder = holder
  }
}

/** The job runs, and the caller asked to leave running jobs alone. */
export class JobRunning extends JobRejection {
  readonly code = 'JOB_RUNNING'
  constructor(jobId: string) {
    super(jobId, `Job ${jobId} is running.`)
  }
}

/** The job cannot be leased: running, ended, held, blocked or not due. */
export class JobNotPending extends JobRejection {
  readonly code = 'JOB_NOT_PENDING'
  constructor(jobId: string, why: string, wanted = 'leased') {
    super(jobId, `Job ${jobId} cannot be ${wanted}: it is ${why}.`)
  }
}

/** As many jobs with this job's concurrency key run as may at once. */
export class KeyAtLimit extends JobRejection {
  readonly code = 'KEY_AT_LIMIT'
  readonly key: string
  readonly limit: number
  constructor(jobId: string, key: string, limit: number) {
    super(jobId, `Job ${jobId} cannot be leased: its key ${show(key)} is at its limit of ${limit}.`)
    this.key = key
    this.limit = limit
  }
}

/** The token does not hold the job any more: the lease expired, was lost or given back, or the job ended. */
export class LeaseLost extends JobRejection {
  readonly code = 'LEASE_LOST'
  override readonly family = 'lease'
  readonly token: string
  /** `jobId` is absent where nothing is known of the token. */
  constructor(jobId: string | undefined, token: string) {
    super(jobId ?? '', `Lease ${token}${jobId === undefined ? '' : ` on job ${jobId}`} is lost.`)
    this.token = token
  }
}

/** No worker of that id was ever registered. */
export class WorkerUnknown extends JobledgerError {
  readonly code = 'WORKER_UNKNOWN'
  readonly family = 'lease'
  readonly workerId: string
  constructor(workerId: string) {
    super(`There is no worker ${workerId}: register it first.`)
    this.workerId = workerId
  }
}

/** So many jobs of this type were enqueued in this channel within the present window. */
export class RateLimited extends JobledgerError {
  readonly code = 'RATE_LIMITED'
  readonly family = 'job'
  readonly type: string
  readonly channel: string
  /** Enqueues per window. */
  readonly limit: number
  /** `reached`: the first refusal of its window, whichever process it is told in; `exceeded`: a later one. */
  readonly reason: 'reached' | 'exceeded'
  /** When the next window begins (ms since the epoch). */
  readonly resetsAt: number
  constructor(facts: Pick<RateLimited, 'type' | 'channel' | 'limit' | 'reason' | 'resetsAt'> & { perMs: number }) {
    const { type, channel, limit, reason, resetsAt, perMs } = facts
    const where = channel === '' ? '' : ` in channel ${show(channel)}`
    const what = `The limit of ${limit} jobs of type ${show(type)}${where} per ${perMs} ms`
    super(`${what} is ${reason}; it is lifted at ${new Date(resetsAt).toISOString()}.`)
    this.type = type
    this.channel = channel
    this.limit = limit
    this.reason = reason
    this.resetsAt = resetsAt
  }
}

/** The worker is paused, or drains: it takes no jobs. */
export class WorkerNotActive extends JobledgerError {
  readonly code = 'WORKER_NOT_ACTIVE'
  readonly family = 'lease'
  readonly workerId: string
  constructor(workerId: string, status: string) {
    super(`Worker ${workerId} takes no jobs: it is ${status}.`)
    this.workerId = workerId
  }
}

/** The worker holds jobs: it is not removed. */
export class WorkerBusy extends JobledgerError {
  readonly code = 'WORKER_BUSY'
  readonly family = 'lease'
  readonly workerId: string
  readonly leases: number
  constructor(workerId: string, leases: number) {
    super(`Worker ${workerId} cannot be removed: it holds ${leases} ${leases === 1 ? 'job' : 'jobs'}.`)
    this.workerId = workerId
    this.leases = leases
  }
}

/** A dependency that no job has. */
export class DependencyUnknown extends JobRejection {
  readonly code = 'DEPENDENCY_UNKNOWN'
  readonly dependency: string
  constructor(jobId: string, dependency: string) {
    super(jobId, `Job ${jobId} depends on job ${dependency}, which does not exist.`)
    this.dependency = dependency
  }
}

/** Jobs that would wait for each other for ever. `path` begins and ends with the same id. */
export class DependencyCycle extends JobRejection {
  readonly code = 'DEPENDENCY_CYCLE'
  readonly path: readonly string[]
  constructor(path: readonly string[]) {
    super(path[0] ?? '', `Dependencies form a cycle: ${path.join(' -> ')}.`)
    this.path = path
  }
}

abstract class TriggerRejection extends JobledgerError {
  readonly family = 'trigger'
  readonly triggerId: string
  constructor(triggerId: string, message: string) {
    super(message)
    this.triggerId = triggerId
  }
}

/** It was never added, or is removed: by somebody, or by itself when it was done. */
export class TriggerUnknown extends TriggerRejection {
  readonly code = 'TRIGGER_UNKNOWN'
  constructor(triggerId: string) {
    super(triggerId, `There is no trigger ${triggerId}.`)
  }
}

/** What is asked of it is for triggers of another kind. */
export class TriggerKindMismatch extends TriggerRejection {
  readonly code = 'TRIGGER_KIND_MISMATCH'
  readonly kind: string
  constructor(triggerId: string, expected: string, kind: string) {
    super(triggerId, `Trigger ${triggerId}: expected one of kind ${expected}, got ${kind}.`)
    this.kind = kind
  }
}

/** The payloads of one window together would be too large for one job: this one was not taken. */
export class DebounceFull extends TriggerRejection {
  readonly code = 'DEBOUNCE_FULL'
  constructor(triggerId: string, maxBytes: number, bytes: number) {
    super(
      triggerId,
      `Trigger ${triggerId}: expected payloads of one window of at most ${maxBytes} bytes, got ${bytes}.`,
    )
  }
}

/** It is paused: it can only be fired by hand. */
export class TriggerNotActive extends TriggerRejection {
  readonly code = 'TRIGGER_NOT_ACTIVE'
  constructor(triggerId: string, status: string) {
    super(triggerId, `Trigger ${triggerId} is ${status}.`)
  }
}

/** What was asked of it made no job: `reason` says why. */
export class FiringMissed extends TriggerRejection {
  readonly code = 'FIRING_MISSED'
  readonly reason: string
  constructor(triggerId: string, reason: string) {
    super(triggerId, `Trigger ${triggerId} made no job: ${reason}.`)
    this.reason = reason
  }
}
