/** What a process of ours ends with, and which error means which. */
import { InvalidOption, JobledgerError } from '../../domain/errors.js'

export const EXIT = { ok: 0, failure: 1, usage: 2, notFound: 3, conflict: 4, integrity: 5, timeout: 6 } as const

/** What only the command line has to say. */
type OwnCode = 'USAGE' | 'LEDGER_MISSING' | 'WAIT_TIMEOUT' | 'SIGINT' | 'SIGTERM'

/** Told on purpose, by the command line itself. */
export class CliError extends Error {
  readonly code: OwnCode
  /** The job it is about, if it is about one. */
  readonly jobId: string | undefined
  constructor(code: OwnCode, message: string, options: ErrorOptions & { readonly jobId?: string } = {}) {
    super(message, options)
    this.code = code
    this.jobId = options.jobId
  }
}

/** By the stable code of the library's errors. What is not here is a failure. */
const BY_CODE: Readonly<Record<string, number>> = {
  USAGE: EXIT.usage,
  LEDGER_MISSING: EXIT.notFound,
  WAIT_TIMEOUT: EXIT.timeout,
  SIGINT: 130,
  SIGTERM: 143,
  INVALID_OPTION: EXIT.usage,
  INVALID_PAYLOAD: EXIT.usage,
  DUPLICATE_TYPE: EXIT.usage,
  DUPLICATE_POOL: EXIT.usage,
  UNKNOWN_TYPE: EXIT.usage,
  ROLE_REQUIRED: EXIT.usage,
  DEPENDENCY_CYCLE: EXIT.usage,
  NO_HANDLERS: EXIT.usage,
  JOB_UNKNOWN: EXIT.notFound,
  JOB_REMOVED: EXIT.notFound,
  DEPENDENCY_UNKNOWN: EXIT.notFound,
  WORKER_UNKNOWN: EXIT.notFound,
  TRIGGER_UNKNOWN: EXIT.notFound,
  JOB_EXISTS: EXIT.conflict,
  JOB_ENDED: EXIT.conflict,
  JOB_NOT_ENDED: EXIT.conflict,
  JOB_NOT_FAILED: EXIT.conflict,
  JOB_RUNNING: EXIT.conflict,
  JOB_NEEDED: EXIT.conflict,
  JOB_NOT_UNIQUE: EXIT.conflict,
  JOB_EXPUNGED: EXIT.conflict,
  JOB_NOT_PENDING: EXIT.conflict,
  RATE_LIMITED: EXIT.conflict,
  KEY_AT_LIMIT: EXIT.conflict,
  LEASE_LOST: EXIT.conflict,
  PAUSE_UNSETTLED: EXIT.timeout,
  WORKER_BUSY: EXIT.conflict,
  WORKER_GONE: EXIT.conflict,
  WORKER_NOT_ACTIVE: EXIT.conflict,
  TRIGGER_KIND_MISMATCH: EXIT.conflict,
  TRIGGER_NOT_ACTIVE: EXIT.conflict,
  DEBOUNCE_FULL: EXIT.conflict,
  FIRING_MISSED: EXIT.conflict,
  STREAM_REMOVED: EXIT.conflict,
  COPY_TARGET_DIFFERS: EXIT.conflict,
  JOB_ARCHIVED: EXIT.conflict,
  EXPORT_EXISTS: EXIT.conflict,
  IMPORT_PARTIAL: EXIT.integrity,
  IMPORT_DAMAGED: EXIT.integrity,
  ARCHIVE_MISSING: EXIT.usage,
  SEGMENT_MISSING: EXIT.integrity,
  SEGMENT_DAMAGED: EXIT.integrity,
  BACKUP_EXISTS: EXIT.conflict,
  AUDIT_KEY_MISSING: EXIT.usage,
  NOTE_UNREADABLE: EXIT.usage,
  PROOF_UNAVAILABLE: EXIT.conflict,
  LOG_DIFFERS: EXIT.integrity,
  BUNDLE_UNREADABLE: EXIT.integrity,
  COPY_IMPOSSIBLE: EXIT.integrity,
  COPY_UNVERIFIED: EXIT.integrity,
  ILLEGAL_EVENT: EXIT.integrity,
  UNKNOWN_EVENT_VERSION: EXIT.integrity,
  QUERY_INVALID: EXIT.usage,
  QUERY_WRITES: EXIT.usage,
  STORE_UNUSABLE: EXIT.integrity,
}

export function exitCodeOf(error: unknown): number {
  if (isMissingDriver(error)) return EXIT.failure
  if (isDamage(error)) return EXIT.integrity
  return BY_CODE[codeOf(error) ?? ''] ?? EXIT.failure
}

/** Undefined for an error that nobody threw on purpose. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof JobledgerError || error instanceof CliError ? error.code : undefined
}

/** The job that an error is about. */
export function jobIdOf(error: unknown): string | undefined {
  return error instanceof Error && 'jobId' in error && typeof error.jobId === 'string' ? error.jobId : undefined
}

/** The file is not as it was written. A store says so by the error beneath its own. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(causeCode(error))
}

/** The store's own package is not there: nothing is said about the ledger. */
function isMissingDriver(error: unknown): boolean {
  return ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_DLOPEN_FAILED'].includes(causeCode(error))
}

function causeCode(error: unknown): string {
  const cause = error instanceof JobledgerError ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' ? code : ''
}

/** Options that are flags here. Their parts are not told apart: `dependsOn[1].id` is `--depends-on`. */
const BY_FLAG =
  /`(?:enqueue|list|replay|reschedule|retention\.run\.rules\[0\]|triggers\.\w+(?:\.options)?)\.(?!payload\b)(\w+)[^`]*`/g
/** Options that are arguments here. */
const BY_ARGUMENT = /`triggers\.(?:(?:add|preview)\.(when)|(?!add\.)\w+\.(id))`/g
/** Options that stand in a config, and a payload, which has many places to stand in. */
const BY_CONFIG = /`(?:openLedger|start|close|defineJob|enqueue|triggers\.\w+)\./g

/** An option is named as on the command line or in a config, not by the call that refused it. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  // Anything else may quote a handler, whose words are its own.
  if (!(error instanceof InvalidOption)) return message
  return message
    .replaceAll(BY_ARGUMENT, (_, when?: string, id?: string) => `\`<${when ?? id}>\``)
    .replaceAll('`triggers.jobs.limit`', '`--jobs`')
    .replaceAll('`asOf.moment`', '`--as-of`')
    .replaceAll(/`diff\.(from|until)`/g, '`--$1`')
    .replaceAll('`triggers.add.debounce.combine`', '`--combine`')
    .replaceAll(BY_FLAG, (_, option: string) => `\`--${kebab(option)}\``)
    .replaceAll(BY_CONFIG, '`')
}

const kebab = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
