/** The shape of pino's logger, and of what wraps it: facts first, then the sentence. */
export interface Logger {
  trace(facts: object, message: string): void
  debug(facts: object, message: string): void
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
  fatal(facts: object, message: string): void
  child(bindings: object): Logger
}

const nothing = (): void => {}

/** A library is silent unless it is given a logger. */
export const silentLogger: Logger = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  fatal: nothing,
  child: () => silentLogger,
}
