/** Where the figures come from. */
import { readFileSync, realpathSync } from 'node:fs'
import { cpus } from 'node:os'
import { loadDriver } from '../adapters/sqlite/driver.js'

/** Type of the file system that holds a directory, as the kernel names it. */
export function filesystemOf(dir: string): string {
  if (process.platform !== 'linux') return 'unknown'
  const path = realpathSync(dir)
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, at = '']) => path === at || path.startsWith(at.endsWith('/') ? at : `${at}/`))
  const deepest = mounts.reduce(
    (best, mount) => ((mount[1] ?? '').length >= (best[1] ?? '').length ? mount : best),
    [''],
  )
  return deepest[2] ?? 'unknown'
}

export function environment(dir: string): string {
  const Driver = loadDriver()
  const db = new Driver(':memory:', { timeout: 0, readonly: false, fileMustExist: false })
  const sqlite = String(db.prepare('SELECT sqlite_version()').pluck(true).get())
  db.close()
  const [cpu] = cpus()
  return [
    `${cpus().length} x ${cpu?.model.trim() ?? 'unknown processor'}`,
    `Node ${process.versions.node}`,
    `SQLite ${sqlite}`,
    `${filesystemOf(dir)}`,
    'durability full (fsync on)',
  ].join(' · ')
}
