/**
 * A copy of a log file while others write. SQLite's own way of copying begins anew whenever somebody else has written, which on
 * a busy ledger would never end: within a read transaction it copies the file as it was when that began.
 */
import { closeSync, existsSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import type { Backup, BackupOptions } from '../../runtime/ports/maintenance.js'
import { BackupExists } from '../../runtime/ports/maintenance.js'
import type { Database } from './driver.js'
import { toStoreError } from './errors.js'
import { type LogFile, openLog } from './open.js'

/** Of 8 KiB, copied before the event loop is let go: some milliseconds. */
const PAGES = 500

interface Content {
  readonly events: number
  readonly last: number
}

export async function backupLog(path: string, options: BackupOptions): Promise<Backup> {
  const to = resolve(options.to)
  checkTarget(to, options.force)
  const log = openLog(path, { readonly: true })
  const partial = `${to}.partial`
  try {
    if (existsSync(to) && realpathSync(to) === log.path) throw new BackupExists(`${to} is the ledger itself.`)
    log.db.exec('BEGIN')
    const content = contentOf(log.db)
    removeFiles(partial)
    // Payloads are nobody else's business.
    closeSync(openSync(partial, 'wx', 0o600))
    await copy(log.db, partial, options)
    check(partial, log, content)
    flush(partial)
    removeFiles(to, ['-wal', '-shm'])
    renameSync(partial, to)
    flush(dirname(to))
    return { file: to, bytes: statSync(to).size, events: content.events, logId: log.logId }
  } catch (error) {
    removeFiles(partial)
    throw options.signal.aborted ? options.signal.reason : toStoreError(error, to)
  } finally {
    log.db.close()
  }
}

function checkTarget(to: string, force: boolean): void {
  if (!existsSync(dirname(to))) throw new StoreUnavailable(`${to}: there is no directory ${dirname(to)}.`)
  if (!existsSync(to)) return
  if (!statSync(to).isFile()) throw new BackupExists(`${to} is no file.`)
  if (!force) throw new BackupExists(`${to} is there already.`)
}

async function copy(db: Database, to: string, { signal, onProgress }: BackupOptions): Promise<void> {
  await db.backup(to, {
    progress({ totalPages, remainingPages }) {
      signal.throwIfAborted()
      onProgress?.({ done: totalPages - remainingPages, total: totalPages })
      return PAGES
    },
  })
}

/** Opens the copy as a ledger does. */
function check(path: string, log: LogFile, content: Content): void {
  const copied = openLog(path)
  try {
    const found = contentOf(copied.db)
    const isSame = copied.logId === log.logId && found.events === content.events && found.last === content.last
    const pages = copied.db.prepare('PRAGMA quick_check(1)').pluck(true).get()
    if (isSame && pages === 'ok') return
    throw new StoreUnusable(
      `${path}: expected ${content.events} events up to position ${content.last}, found ${found.events} up to ${found.last} (quick_check: ${pages}).`,
    )
  } finally {
    copied.db.close()
  }
}

function contentOf(db: Database): Content {
  const row = db.prepare('SELECT count(*), coalesce(max(position), 0) FROM jobledger_events').raw(true).get()
  const [events, last] = row as [number, number]
  return { events, last }
}

function removeFiles(path: string, suffixes: readonly string[] = ['', '-wal', '-shm']): void {
  for (const suffix of suffixes) rmSync(path + suffix, { force: true })
}

function flush(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
