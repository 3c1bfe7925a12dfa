/** What a run, a wait or a ledger can end with. */
import { JobledgerError, show } from '../domain/errors.js'
import { isJobStream, jobIdOf } from '../domain/job/events.js'

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

/** `result()` of a job that ended as failed. `error` is the name of its last error; `message` ends with that one's. */
export class JobFailed extends JobledgerError {
  readonly code = 'JOB_FAILED'
  readonly family = 'run'
  readonly jobId: string
  readonly error: string
  constructor(jobId: string, error: string, message: string) {
    super(`Job ${jobId} failed: ${error}${message === '' ? '.' : `: ${message}`}`)
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

/** The reason in the signal of a run that took longer than its timeout, or of a step of it, given to `ctx.withTimeout`. */
export class Timeout extends JobledgerError {
  readonly code = 'TIMEOUT'
  readonly family = 'run'
  constructor(jobId: string, ms: number, what: 'run' | 'step' = 'run') {
    super(`${what === 'run' ? 'Job' : 'A step of job'} ${jobId} ran longer than its timeout of ${ms} ms.`)
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

/** The child process of an isolated run ended before its handler had: the attempt has failed. */
export class ChildDied extends JobledgerError {
  readonly code = 'CHILD_DIED'
  readonly family = 'run'
  /** null when it was killed, or could not be started. */
  readonly exitCode: number | null
  /** That killed it, e.g. `SIGKILL`. */
  readonly signal: string | null
  /** The last lines that it wrote to stderr. */
  readonly output: string
  constructor(jobId: string, death: Pick<ChildDied, 'exitCode' | 'signal' | 'output'> & { readonly cause?: Error }) {
    const { exitCode, signal, output, cause } = death
    const how = cause !== undefined ? cause.message : signal !== null ? `killed by ${signal}` : `exit code ${exitCode}`
    super(`The child process of job ${jobId} ended before its handler: ${how}.${output === '' ? '' : `\n${output}`}`)
    this.exitCode = exitCode
    this.signal = signal
    this.output = output
    if (cause !== undefined) this.cause = cause
  }
}

/** A handler module that cannot be loaded, or has no handler. */
export class ModuleUnusable extends JobledgerError {
  readonly code = 'MODULE_UNUSABLE'
  readonly family = 'run'
  readonly module: string
  constructor(module: string, cause: unknown) {
    super(`The handler module ${module} cannot be used: ${cause instanceof Error ? cause.message : cause}`)
    this.module = module
    this.cause = cause
  }
}

/** Something of the context that a handler in a child process cannot have. */
export class NotInChild extends JobledgerError {
  readonly code = 'NOT_IN_CHILD'
  readonly family = 'run'
  constructor(what: string) {
    super(`${what} is not to be had in a child process (\`isolate: 'process'\`).`)
  }
}

/** The type's `before` said no to an enqueue: there never was such a job. */
export class JobSkipped extends JobledgerError {
  readonly code = 'JOB_SKIPPED'
  readonly family = 'run'
  readonly jobId: string
  constructor(jobId: string) {
    super(`Job ${jobId} was skipped: its type wanted no job to be enqueued.`)
    this.jobId = jobId
  }
}

/** What the type says about its new jobs, `before` or `concurrencyKey`, has thrown: `cause`. Nothing was stored. */
export class EnqueueRefused extends JobledgerError {
  readonly code = 'ENQUEUE_REFUSED'
  readonly family = 'job'
  readonly type: string
  /** `path` names the element: `enqueue`, or `enqueueMany[3]`. */
  constructor(path: string, type: string, cause: unknown, by: 'before' | 'concurrencyKey' = 'before') {
    super(`\`${by}\` of type ${JSON.stringify(type)} refuses \`${path}\`: ${wordsOf(cause)}`)
    this.type = type
    this.cause = cause
  }
}

/** The type's `init` has thrown: `cause`. Nothing was leased; the next `start()` asks it again. */
export class InitFailed extends JobledgerError {
  readonly code = 'INIT_FAILED'
  readonly family = 'ledger'
  readonly type: string
  constructor(type: string, cause: unknown) {
    super(`\`init\` of type ${JSON.stringify(type)} failed: ${wordsOf(cause)}`)
    this.type = type
    this.cause = cause
  }
}

function wordsOf(cause: unknown): string {
  try {
    return cause instanceof Error ? `${cause.message}` : show(cause)
  } catch {
    return 'a value that cannot be shown'
  }
}

/** Two pools of one name. */
export class DuplicatePool extends JobledgerError {
  readonly code = 'DUPLICATE_POOL'
  readonly family = 'option'
  readonly pool: string
  constructor(pool: string) {
    super(`Two pools have the name ${JSON.stringify(pool)}.`)
    this.pool = pool
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

/** The store refused a name for ever: the stream was removed, and a removed stream's name stays burnt. */
export class StreamRemoved extends JobledgerError {
  readonly code = 'STREAM_REMOVED'
  readonly family = 'job'
  /** The segment of the archive that a job has left the log for, where that was looked up. */
  readonly segment: string | undefined
  readonly stream: string
  constructor(stream: string, segment?: string) {
    const why = segment === undefined ? 'was removed' : `is archived (segment ${segment})`
    const what = isJobStream(stream) ? `Job ${jobIdOf(stream)} ${why}; its id` : `Stream ${stream} ${why}; its name`
    super(`${what} cannot be used again.`)
    this.stream = stream
    this.segment = segment
  }
}

/** Other writers were faster, again and again. Roll back and begin anew. */
export class TransactionConflict extends JobledgerError {
  readonly code = 'TRANSACTION_CONFLICT'
  readonly family = 'store'
  constructor(stream: string) {
    super(`Stream ${stream} was written by others while this transaction looked at it.`)
  }
}

/** A type that this ledger, opened with `strict`, does not know; or one that it conceals from this caller. */
export class UnknownType extends JobledgerError {
  readonly code = 'UNKNOWN_TYPE'
  readonly family = 'option'
  readonly type: string
  constructor(type: string) {
    super(`The ledger knows no job type ${JSON.stringify(type)}.`)
    this.type = type
  }
}

/** A reserved type, and an actor who has none of the roles that may enqueue it. */
export class RoleRequired extends JobledgerError {
  readonly code = 'ROLE_REQUIRED'
  readonly family = 'option'
  readonly type: string
  /** One of them would do. */
  readonly roles: readonly string[]
  constructor(type: string, roles: readonly string[]) {
    const wanted = roles.map((role) => JSON.stringify(role)).join(' or ')
    super(`Jobs of type ${JSON.stringify(type)} are enqueued only by callers with the role ${wanted}.`)
    this.type = type
    this.roles = roles
  }
}

/** Nothing to lease came up in time. */
export class LeaseTimeout extends JobledgerError {
  readonly code = 'LEASE_TIMEOUT'
  readonly family = 'lease'
  constructor(ms: number) {
    super(`No job to lease within ${ms} ms.`)
  }
}

/** The queue is paused, but these workers have not said in time that they act on it: they may lease a few more of its jobs. */
export class PauseUnsettled extends JobledgerError {
  readonly code = 'PAUSE_UNSETTLED'
  readonly family = 'ledger'
  readonly queue: string
  /** Ids of those who have not answered. */
  readonly workers: readonly string[]
  constructor(queue: string, workers: readonly string[]) {
    const some = `${workers.slice(0, 3).join(', ')}${workers.length > 3 ? ' and others' : ''}`
    super(`Queue ${JSON.stringify(queue)} is paused, but these workers have not answered yet: ${some}.`)
    this.queue = queue
    this.workers = workers
  }
}

/** A record of this stream cannot be read, so nothing can be decided about it: see what `doctor` says. */
export class StreamUnreadable extends JobledgerError {
  readonly code = 'STREAM_UNREADABLE'
  readonly family = 'job'
  constructor(stream: string, revision: number) {
    super(`Nothing can be recorded in stream ${stream}: its record of revision ${revision} cannot be read.`)
  }
}
