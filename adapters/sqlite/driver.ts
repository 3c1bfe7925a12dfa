/** The part of better-sqlite3 that we use, and the careful loading of it. */
import { createRequire } from 'node:module'
import { StoreUnusable } from '../../runtime/ports/event-store.js'

export type Value = string | number | bigint | Uint8Array | null

export interface Statement {
  run(...parameters: readonly (Value | readonly Value[])[]): { readonly changes: number }
  get(...parameters: readonly (Value | readonly Value[])[]): unknown
  all(...parameters: readonly (Value | readonly Value[])[]): unknown[]
  raw(on: boolean): this
  pluck(on: boolean): this
  safeIntegers(on: boolean): this
  /** Rows one by one; the statement is busy until the last was taken or the loop was left. */
  iterate(...parameters: readonly unknown[]): IterableIterator<unknown>
  columns(): readonly { readonly name: string }[]
  /** Whether it answers with rows, and whether it leaves the file alone. */
  readonly reader: boolean
  readonly readonly: boolean
}

export interface Database {
  readonly inTransaction: boolean
  readonly open: boolean
  prepare(sql: string): Statement
  exec(sql: string): unknown
  pragma(sql: string, options?: { readonly simple: boolean }): unknown
  /** On: an iterator that somebody has left open does not stand in the way of other statements. */
  unsafeMode(on: boolean): unknown
  close(): unknown
  /** `progress` answers with how many pages to copy next. */
  backup(
    path: string,
    options: { readonly progress: (done: { totalPages: number; remainingPages: number }) => number },
  ): Promise<unknown>
}

export interface DatabaseOptions {
  readonly timeout: number
  readonly readonly: boolean
  readonly fileMustExist: boolean
}

export type DatabaseConstructor = new (path: string, options: DatabaseOptions) => Database

const WANTED = '^12.11.1 || ^13.2.0'

/**
 * Loads better-sqlite3 when the first file is opened, so that who uses another store need not have it.
 * Throws StoreUnusable when it is missing (`who` wants it), does not fit this Node.js or was not built for it.
 */
export function loadDriver(who = 'A sqlite: ledger needs'): DatabaseConstructor {
  const require = createRequire(import.meta.url)
  // Its version is read before it is loaded: the wrong one takes the process down.
  const { version } = attempt(
    () => require('better-sqlite3/package.json') as { version: string },
    (cause) => notInstalled(who, cause),
  )
  const objection = objectionTo(version, process.versions.node)
  if (objection !== undefined) throw new StoreUnusable(objection)
  return attempt(() => require('better-sqlite3') as DatabaseConstructor, notBuilt)
}

/** Why a version of better-sqlite3 must not even be loaded in a version of Node.js: 13 crashes the process before 22. */
export function objectionTo(version: string, node: string): string | undefined {
  const major = Number.parseInt(version, 10)
  if (major < 12) return `Expected better-sqlite3 ${WANTED}, got ${version}. Run: npm install better-sqlite3@12`
  if (major < 13 || Number.parseInt(node, 10) >= 22) return undefined
  return `better-sqlite3 ${version} crashes on Node.js ${node}: it needs Node.js 22. Run: npm install better-sqlite3@12`
}

function attempt<Result>(load: () => Result, explain: (cause: unknown) => StoreUnusable): Result {
  try {
    return load()
  } catch (cause) {
    throw explain(cause)
  }
}

function notInstalled(who: string, cause: unknown): StoreUnusable {
  return new StoreUnusable(`${who} the package better-sqlite3. Run: npm install better-sqlite3@12`, { cause })
}

function notBuilt(cause: unknown): StoreUnusable {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new StoreUnusable(
    `better-sqlite3 is installed but cannot be loaded (${reason}). Run: npm rebuild better-sqlite3`,
    { cause },
  )
}
