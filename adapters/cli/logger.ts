/** The logger of the command line: pino's shape, JSON lines on stderr. */
import type { Logger } from '../../runtime/ports/logger.js'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
type Spoken = Exclude<LogLevel, 'silent'>

export type WriteLine = (line: string) => void

const toStderr: WriteLine = (line) => void process.stderr.write(line)

export class JsonLogger implements Logger {
  readonly #from: number
  readonly #bindings: object
  readonly #write: WriteLine

  constructor(level: LogLevel, bindings: object = {}, write: WriteLine = toStderr) {
    this.#from = LOG_LEVELS.indexOf(level)
    this.#bindings = bindings
    this.#write = write
  }

  trace(facts: object, message: string): void {
    this.#log('trace', facts, message)
  }
  debug(facts: object, message: string): void {
    this.#log('debug', facts, message)
  }
  info(facts: object, message: string): void {
    this.#log('info', facts, message)
  }
  warn(facts: object, message: string): void {
    this.#log('warn', facts, message)
  }
  error(facts: object, message: string): void {
    this.#log('error', facts, message)
  }
  fatal(facts: object, message: string): void {
    this.#log('fatal', facts, message)
  }

  child(bindings: object): Logger {
    return new JsonLogger(LOG_LEVELS[this.#from] as LogLevel, { ...this.#bindings, ...bindings }, this.#write)
  }

  #log(level: Spoken, facts: object, message: string): void {
    if (LOG_LEVELS.indexOf(level) < this.#from) return
    this.#write(`${toLine({ level, time: new Date().toISOString(), ...this.#bindings, ...facts, msg: message })}\n`)
  }
}

/** A handler may log anything: what JSON cannot hold must not end its run. */
function toLine(record: object): string {
  try {
    return JSON.stringify(record, replacer)
  } catch (error) {
    const { level, time, msg } = record as { level: string; time: string; msg: string }
    return JSON.stringify({ level, time, msg, unloggable: String(error) })
  }
}

function replacer(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  return { ...value, name, message, stack, ...(cause !== undefined && { cause }) }
}
