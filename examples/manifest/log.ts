import type { Logger } from '../../index.js'

const nothing = (): void => {}
const print = (facts: object, message: string): void => {
  const { err } = facts as { err?: Error }
  process.stderr.write(`${message}${err === undefined ? '' : `: ${err.message}`}\n`)
}

/** Says what is wrong with the ledger itself, say a full disk. What is wrong with a file is in that job's history. */
export const errorLog: Logger = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: print,
  fatal: print,
  child: () => errorLog,
}
