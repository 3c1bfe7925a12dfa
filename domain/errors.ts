/** The root of every error this library throws on purpose. `code` is stable; match on it, not on the message. */
export abstract class JobledgerError extends Error {
  abstract readonly code: string
  /** The family an error belongs to, for coarse handling. */
  abstract readonly family: 'option' | 'job' | 'lease' | 'run' | 'ledger' | 'store' | 'trigger'
  override get name(): string {
    return this.constructor.name
  }
}

/** A value that a caller gave and that cannot be used. Nothing was stored. */
export class InvalidOption extends JobledgerError {
  readonly code: string = 'INVALID_OPTION'
  readonly family = 'option'
  /** Path of the option, as `enqueue.priority`. */
  readonly option: string
  readonly expected: string
  readonly received: string
  constructor(option: string, expected: string, received: unknown) {
    super(`Expected \`${option}\` to be ${expected}, got ${show(received)}.`)
    this.option = option
    this.expected = expected
    this.received = show(received)
  }
}

/** A payload that cannot be stored or does not fit its schema. Nothing was stored. */
export class InvalidPayload extends InvalidOption {
  override readonly code = 'INVALID_PAYLOAD'
}

const SHOWN = 100

/** How a received value is named in a message: short, never the whole of a large one, and never an error of its own. */
export function show(value: unknown): string {
  try {
    const text = describe(value)
    return text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text
  } catch {
    // A getter or a proxy that throws.
    return `a value of type ${typeof value}`
  }
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return value.name ? `function ${value.name}` : 'a function'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : value.toISOString()
  if (typeof value === 'object' && value !== null) {
    const keys = Object.keys(value)
    if (keys.length > 0) return `an object (${keys.slice(0, 5).join(', ')})`
    const name: unknown = value.constructor?.name
    return typeof name === 'string' && name !== '' && name !== 'Object' ? `an object of ${name}` : 'an empty object'
  }
  return String(value)
}

/** An event that the lifecycle does not allow where it stands: the stream was not written by this library's rules. */
export class IllegalEvent extends JobledgerError {
  readonly code = 'ILLEGAL_EVENT'
  readonly family = 'job'
  constructor(stream: string, type: string, status: string) {
    super(`${type} cannot follow in stream ${stream}, which is ${status}.`)
  }
}
