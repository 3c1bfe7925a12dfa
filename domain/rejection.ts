/** Why a command is refused. Deciders return these; the runtime gives them to the caller. Nothing was stored. */
import { JobledgerError } from './errors.js'

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

/** The job has not ended: it cannot be sent round again. */
export class JobNotEnded extends JobRejection {
  readonly code = 'JOB_NOT_ENDED'
  constructor(jobId: string, phase: string) {
    super(jobId, `Job ${jobId} has not ended, it is ${phase}: only an ended job can be retried.`)
  }
}

/** The job runs, and the caller asked to leave running jobs alone. */
export class JobRunning extends JobRejection {
  readonly code = 'JOB_RUNNING'
  constructor(jobId: string) {
    super(jobId, `Job ${jobId} is running.`)
  }
}

/** The job cannot be leased: running, ended, held or not due. */
export class JobNotPending extends JobRejection {
  readonly code = 'JOB_NOT_PENDING'
  constructor(jobId: string, why: string) {
    super(jobId, `Job ${jobId} cannot be leased: it is ${why}.`)
  }
}

/** The token does not hold the job any more: the lease expired, was lost or given back, or the job ended. */
export class LeaseLost extends JobRejection {
  readonly code = 'LEASE_LOST'
  override readonly family = 'lease'
  readonly token: string
  constructor(jobId: string, token: string) {
    super(jobId, `Lease ${token} on job ${jobId} is lost.`)
    this.token = token
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
