import type { Stats } from 'node:fs'
import { realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

export const HELP = `Usage: npm start -- [FOLDER] [options]

Digests every file below FOLDER (default: this folder) with a durable job queue and writes a manifest:
  cd FOLDER && sha256sum -c MANIFEST

Run it again with the same ledger file: it goes on where it was stopped, and after that digests only files whose size or
modification time has changed.

Options:
  --out FILE      the manifest (default ./manifest.sha256)
  --ledger FILE   the job ledger, an SQLite file (default ./jobledger.db)
  --list-all      list every skipped entry, not only the first few
  -h, --help      show this

Exit codes: 0 done, 1 some files could not be digested or the ledger failed, 2 usage, 130 interrupted.
`

/** Absolute paths, symbolic links resolved. */
export interface Arguments {
  readonly folder: string
  readonly out: string
  readonly ledger: string
  readonly listAll: boolean
}

/** The command line cannot be used as it is. */
export class UsageError extends Error {}

/** Throws UsageError. */
export function readArguments(argv: readonly string[]): Arguments | 'help' {
  const { values, positionals } = parse(argv)
  if (values.help) return 'help'
  if (positionals.length > 1) throw new UsageError(`One folder at a time, got ${positionals.length}.`)
  return {
    folder: toFolder(positionals[0] ?? '.'),
    out: toFile(values.out, '--out'),
    ledger: toFile(values.ledger, '--ledger'),
    listAll: values['list-all'],
  }
}

interface Parsed {
  readonly values: { help: boolean; 'list-all': boolean; out: string; ledger: string }
  readonly positionals: readonly string[]
}

function parse(argv: readonly string[]): Parsed {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        out: { type: 'string', default: 'manifest.sha256' },
        ledger: { type: 'string', default: 'jobledger.db' },
        'list-all': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function toFolder(path: string): string {
  if (!existing(path).isDirectory()) throw new UsageError(`Not a folder: ${path}`)
  return realpathSync(path)
}

/** Need not exist yet, but its folder must. */
function toFile(path: string, option: string): string {
  const file = resolve(path)
  if (path === '' || statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    throw new UsageError(`${option} must name a file, got "${path}".`)
  }
  return join(toFolder(dirname(file)), basename(file))
}

function existing(path: string): Stats {
  try {
    return statSync(path)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new UsageError(code === 'ENOENT' ? `No such folder: ${path}` : message)
  }
}
