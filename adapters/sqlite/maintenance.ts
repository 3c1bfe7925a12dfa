/** A ledger in a file, as an operator sees it. */
import { statSync } from 'node:fs'
import type {
  Backup,
  BackupOptions,
  Compacted,
  Finding,
  Maintenance,
  Migration,
} from '../../runtime/ports/maintenance.js'
import { bytes } from '../shared/bytes.js'
import { lagFinding, sizeFinding } from '../shared/findings.js'
import { toNumber } from '../shared/positions.js'
import { backupLog } from './backup.js'
import type { Database } from './driver.js'
import { isDamage, toStoreError } from './errors.js'
import { openLog } from './open.js'
import { SCHEMA_VERSION } from './schema.js'
import { connectViews, openViewsFile, VIEWS_VERSION } from './views-schema.js'

/** SQLite empties it at some 32 MiB, and cuts it at 64 MiB: more than that means that somebody reads without end. */
const LARGE_WAL = 256 * 1024 ** 2
/** How long compacting waits for who writes (ms). */
const PATIENCE_MS = 30_000

export class SqliteMaintenance implements Maintenance {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  async migrate(): Promise<Migration> {
    const made = this.#sizeOf('') === 0
    openLog(this.#path).db.close()
    openViewsFile(`${this.#path}-views`).close()
    return { made, version: SCHEMA_VERSION, viewsVersion: VIEWS_VERSION }
  }

  backup(options: BackupOptions): Promise<Backup> {
    return backupLog(this.#path, options)
  }

  /** Writes the file anew, without its free pages. Others may read meanwhile; who writes waits. */
  async compact(): Promise<Compacted> {
    const before = this.#sizeOf('') + this.#sizeOf('-wal')
    const { db } = openLog(this.#path, { busyTimeout: PATIENCE_MS })
    try {
      db.exec('VACUUM')
      db.pragma('wal_checkpoint(TRUNCATE)')
    } catch (error) {
      throw toStoreError(error, this.#path)
    } finally {
      db.close()
    }
    return { before, after: this.#sizeOf('') + this.#sizeOf('-wal') }
  }

  async examine({ quick }: { readonly quick: boolean }): Promise<Finding[]> {
    const { db } = openLog(this.#path, { readonly: true })
    try {
      const version = String(db.prepare('SELECT sqlite_version()').pluck(true).get())
      const message = `SQLite ${version}, schema version ${SCHEMA_VERSION}, views version ${VIEWS_VERSION}`
      const store: Finding = { name: 'store', status: 'ok', message, details: { version } }
      const size = sizeFinding(this.#sizeOf(''), this.#sizeOf('-views'))
      return [store, size, this.#wal(), this.#lag(db), ...(quick ? [] : [pages(db)])]
    } catch (error) {
      throw toStoreError(error, this.#path)
    } finally {
      db.close()
    }
  }

  #sizeOf(suffix: string): number {
    return statSync(this.#path + suffix, { throwIfNoEntry: false })?.size ?? 0
  }

  #wal(): Finding {
    const wal = this.#sizeOf('-wal')
    if (wal <= LARGE_WAL) return { name: 'wal', status: 'ok', message: bytes(wal), details: { wal } }
    const message = `${bytes(wal)}: some process reads without end and keeps it from being emptied`
    return { name: 'wal', status: 'warning', message, details: { wal } }
  }

  #lag(log: Database): Finding {
    if (this.#sizeOf('-views') === 0) return lagFinding(undefined)
    const last = Number(log.prepare('SELECT max(position) FROM jobledger_events').pluck(true).get() ?? 0)
    return lagFinding(checkpointIn(`${this.#path}-views`, last))
  }
}

/** How far the views are behind; undefined for a file that is to be made anew. */
function checkpointIn(path: string, last: number): number | undefined {
  let db: Database | undefined
  try {
    db = connectViews(path)
    const position = db.prepare('SELECT position FROM checkpoint').pluck(true).get()
    return typeof position === 'string' ? last - toNumber(position) : undefined
  } catch {
    return undefined
  } finally {
    db?.close()
  }
}

function pages(db: Database): Finding {
  const name = 'pages'
  try {
    const found = db.prepare('PRAGMA quick_check(1)').pluck(true).get()
    if (found === 'ok') return { name, status: 'ok', message: 'quick_check finds every page of the file sound' }
    return { name, status: 'problem', message: `quick_check: ${found}. Restore a backup` }
  } catch (error) {
    if (!isDamage(error)) throw error
    return { name, status: 'problem', message: `quick_check: ${(error as Error).message}. Restore a backup` }
  }
}
