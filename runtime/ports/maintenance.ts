/** What an operator may ask of a store beside the log in it. A store need not have any of this. */
import { JobledgerError } from '../../domain/errors.js'

/** `warning`: works, but somebody should look. `problem`: the store cannot be trusted as it is. */
export interface Finding {
  readonly name: string
  readonly status: 'ok' | 'warning' | 'problem'
  readonly message: string
  readonly details?: object
}

export interface Migration {
  /** There was no log before. */
  readonly made: boolean
  /** Of the log's schema, and of that of the views. */
  readonly version: number
  readonly viewsVersion: number
}

export interface BackupOptions {
  /** The file. */
  readonly to: string
  /** Take the place of a file that is there. */
  readonly force: boolean
  readonly signal: AbortSignal
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
}

export interface Backup {
  readonly file: string
  readonly bytes: number
  readonly events: number
  readonly logId: string
}

/** Bytes of the files of the log. */
export interface Compacted {
  readonly before: number
  readonly after: number
}

export interface Maintenance {
  /** Makes the tables that are not there, and brings those of an older version up to date. Doing it again changes nothing. */
  migrate(): Promise<Migration>
  /** A copy of the log as it is at one moment, made while others write, and read again. Throws StoreRefused where another tool does that. */
  backup(options: BackupOptions): Promise<Backup>
  /** Gives back to the disk what the log does not need any more. Absent where the store does that by itself. */
  compact?(): Promise<Compacted>
  /** `quick`: nothing that takes longer the larger the log is. */
  examine(options: { readonly quick: boolean }): Promise<Finding[]>
}

/** The file of a backup is there already, or is the log itself. */
export class BackupExists extends JobledgerError {
  readonly code = 'BACKUP_EXISTS'
  readonly family = 'store'
}
