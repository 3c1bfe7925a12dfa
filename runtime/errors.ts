/** What a run, a wait or a ledger can end with. */
import { JobledgerError } from '../domain/errors.js'

/** A call after `close()`. */
export class LedgerClosed extends JobledgerError {
  readonly code = 'LEDGER_CLOSED'
  readonly family = 'ledger'
  constructor() {
    super('The ledger is closed.')
  }
}

/** Two definitions of one job type. */
export class DuplicateType extends JobledgerError {
  readonly code = 'DUPLICATE_TYPE'
  readonly family = 'option'
  readonly type: string
  constructor(type: string) {
    super(`Two job definitions have the type ${JSON.stringify(type)}.`)
    this.type = type
  }
}

/** `result()` of a job that ended as failed. `message` and `stack` are those of its last error, `error` its name. */
export class JobFailed extends JobledgerError {
  readonly code = 'JOB_FAILED'
  readonly family = 'run'
  readonly jobId: string
  readonly error: string
  constructor(jobId: string, error: string, message: string) {
    super(`Job ${jobId} failed: ${error}: ${message}`)
    this.jobId = jobId
    this.error = error
  }
}

/** `result()` of a cancelled job, and the reason in the signal of a run that is cancelled. */
export class JobCancelled extends JobledgerError {
  readonly code = 'JOB_CANCELLED'
  readonly family = 'run'
  readonly jobId: string
  readonly reason: string | undefined
  constructor(jobId: string, reason: string | undefined) {
    super(`Job ${jobId} was cancelled${reason === undefined ? '' : `: ${reason}`}.`)
    this.jobId = jobId
    this.reason = reason
  }
}

/** The reason in the signal of a run that took longer than its timeout. */
export class Timeout extends JobledgerError {
  readonly code = 'TIMEOUT'
  readonly family = 'run'
  constructor(jobId: string, ms: number) {
    super(`Job ${jobId} ran longer than its timeout of ${ms} ms.`)
  }
}

/** The reason in the signal of a run that is stopped because its process shuts down; its attempt is not spent. */
export class ShuttingDown extends JobledgerError {
  readonly code = 'SHUTTING_DOWN'
  readonly family = 'run'
  constructor() {
    super('The worker is shutting down.')
  }
}

/** `start()` has nothing to run. */
export class NoHandlers extends JobledgerError {
  readonly code = 'NO_HANDLERS'
  readonly family = 'ledger'
  constructor() {
    super('start() needs job definitions: open the ledger with `jobs: [...]`.')
  }
}
