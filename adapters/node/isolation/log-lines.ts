/** Both ends of a log line of a child. */
import { show } from '../../../domain/errors.js'
import type { Logger } from '../../../runtime/ports/logger.js'
import type { SentError } from './sent-errors.js'
import { fromSent, toSent } from './sent-errors.js'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
type Level = (typeof LEVELS)[number]

export interface SentLine {
  readonly kind: 'log'
  readonly level: Level
  readonly message: string
  readonly facts: object
  /** Those of the facts that are errors. */
  readonly errors: Readonly<Record<string, SentError>>
}

/** Throws where there is something in the line that cannot be sent. */
type Send = (line: SentLine) => void

/** The logger of a child. Errors among the facts arrive as errors. */
export function loggerTo(send: Send, bindings: object = {}): Logger {
  const methods = LEVELS.map((level) => [
    level,
    (facts: object, message: string): void => sendLine(send, level, { ...bindings, ...facts }, message),
  ])
  return { ...Object.fromEntries(methods), child: (more: object) => loggerTo(send, { ...bindings, ...more }) } as Logger
}

/** What cannot be sent goes as text: a log line never fails a run. */
function sendLine(send: Send, level: Level, facts: object, message: string): void {
  const entries = Object.entries(facts)
  const failures = entries.filter(([, value]) => value instanceof Error).map(([key, error]) => [key, toSent(error)])
  const others = entries.filter(([, value]) => !(value instanceof Error))
  const line = { kind: 'log', level, message: `${message}`, errors: Object.fromEntries(failures) } as const
  try {
    send({ ...line, facts: Object.fromEntries(others) })
  } catch {
    send({ ...line, facts: Object.fromEntries(others.map(([key, value]) => [key, tame(value)])) })
  }
}

function tame(value: unknown): unknown {
  try {
    return structuredClone(value)
  } catch {
    return show(value)
  }
}

/** In the parent. */
export function writeLine(log: Logger, { level, facts, errors, message }: SentLine): void {
  const revived = Object.entries(errors).map(([key, error]) => [key, fromSent(error)])
  log[level]({ ...facts, ...Object.fromEntries(revived) }, message)
}
