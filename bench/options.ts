/** The command line. */
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { BenchOptions } from './bench.js'
import { filesystemOf } from './environment.js'

export const HELP = `Usage: npm run bench -- [options]

  --only a,b   run these cases only
  --runs N     run each case so many times and report the run in the middle (default 1)
  --once       one tiny iteration of everything: shows that the benchmark works, not how fast anything is
  --json       print one JSON array instead of a table; talk goes to standard error
  --dir DIR    where the files go (default: the system's temporary directory, unless that is in memory; then here)
  --keep       keep the files, and use the big ledger of the case \`open\` again if it is there
  --help       print this

Cases: `

export interface Options extends BenchOptions {
  readonly only: readonly string[]
  readonly runs: number
  readonly json: boolean
  readonly help: boolean
}

/** Throws for what it does not know. */
export function readOptions(args: readonly string[], cases: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      runs: { type: 'string', default: '1' },
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      dir: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const only = values.only?.split(',') ?? cases
  const unknown = only.find((name) => !cases.includes(name))
  if (unknown !== undefined) throw new Error(`--only: expected some of ${cases.join(', ')}, got ${unknown}`)
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs: expected a number from 1, got ${values.runs}`)
  const { once, json, keep, help } = values
  return { only, runs, once, json, keep, help, dir: resolve(values.dir ?? realDisk()) }
}

/** A file in memory knows no fsync: it would flatter every figure. */
function realDisk(): string {
  return ['tmpfs', 'ramfs'].includes(filesystemOf(tmpdir())) ? '.' : tmpdir()
}
