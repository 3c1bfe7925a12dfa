/** Errors on their way between processes: what was thrown on one side means the same on the other. */
import { InvalidOption, InvalidPayload, show } from '../../../domain/errors.js'
import { LeaseLost } from '../../../domain/rejection.js'
import { JobCancelled, ShuttingDown, Timeout } from '../../../runtime/errors.js'
import { Abort, BadTrigger, Fatal, Recoverable, RetryAt } from '../../../runtime/work/run/handler-errors.js'

/** Anything thrown, in a form that can be sent. */
export type SentError =
  | { readonly is: 'value'; readonly value: unknown }
  | {
      readonly is: 'error'
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      /** Its own simple fields: `code`, `jobId` and the like. */
      readonly fields: Readonly<Record<string, Simple>>
      readonly cause: SentError | undefined
    }

type Simple = string | number | boolean | bigint | null | undefined | Date

/** UTF-16 units of one text that are sent. */
const LONGEST = 65_536
/** Causes of causes that are sent. */
const DEEPEST = 8

/** Known again by code and family, since handlers may have a copy of this library of their own. */
const OURS = new Map<unknown, { readonly family: string; readonly prototype: object }>(
  Object.entries({
    FATAL: { family: 'run', prototype: Fatal.prototype },
    RECOVERABLE: { family: 'run', prototype: Recoverable.prototype },
    RETRY_AT: { family: 'run', prototype: RetryAt.prototype },
    ABORT: { family: 'run', prototype: Abort.prototype },
    BAD_TRIGGER: { family: 'run', prototype: BadTrigger.prototype },
    JOB_CANCELLED: { family: 'run', prototype: JobCancelled.prototype },
    TIMEOUT: { family: 'run', prototype: Timeout.prototype },
    SHUTTING_DOWN: { family: 'run', prototype: ShuttingDown.prototype },
    LEASE_LOST: { family: 'lease', prototype: LeaseLost.prototype },
    INVALID_OPTION: { family: 'option', prototype: InvalidOption.prototype },
    INVALID_PAYLOAD: { family: 'option', prototype: InvalidPayload.prototype },
  }),
)

/** Never throws: what cannot be looked at is sent as what can be said of it. */
export function toSent(thrown: unknown, depth = 0): SentError {
  try {
    if (!(thrown instanceof Error)) return { is: 'value', value: isSimple(thrown) ? thrown : show(thrown) }
    const { cause } = thrown
    return {
      is: 'error',
      name: cut(`${thrown.name}`),
      message: cut(`${thrown.message}`),
      stack: thrown.stack === undefined ? undefined : cut(`${thrown.stack}`),
      fields: simpleFields(thrown),
      cause: cause === undefined || depth === DEEPEST ? undefined : toSent(cause, depth + 1),
    }
  } catch {
    return { is: 'value', value: 'a value that cannot be shown' }
  }
}

const cut = (text: string): string => (text.length > LONGEST ? text.slice(0, LONGEST) : text)

const isSimple = (value: unknown): value is Simple =>
  value === null || value instanceof Date || !['object', 'function', 'symbol'].includes(typeof value)

function simpleFields(error: Error): Record<string, Simple> {
  const own = Object.entries(error).filter(([, value]) => isSimple(value))
  return Object.fromEntries(own.map(([key, value]) => [key, typeof value === 'string' ? cut(value) : value]))
}

export function fromSent(sent: SentError): unknown {
  if (sent.is === 'value') return sent.value
  const { name, message, stack, fields, cause } = sent
  const error = new Error(message, cause && { cause: fromSent(cause) })
  const known = OURS.get(fields.code)
  if (known !== undefined && known.family === fields.family) Object.setPrototypeOf(error, known.prototype)
  const told = { configurable: true, writable: true, enumerable: false }
  for (const [key, value] of Object.entries(fields))
    Object.defineProperty(error, key, { ...told, enumerable: true, value })
  if (error.name !== name) Object.defineProperty(error, 'name', { ...told, value: name })
  Object.defineProperty(error, 'stack', { ...told, value: stack })
  return error
}
