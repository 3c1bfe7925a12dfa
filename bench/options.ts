/** The command line. */
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { BenchOptions } from './bench.js'
import { filesystemOf } from './environment.js'

export const HELP = `Usage: npm run bench -- [options]

  --store S    sqlite (default), postgres (a server of its own, or the one at JOBLEDGER_BENCH_POSTGRES_URL) or eventstore (the
               one at JOBLEDGER_BENCH_ESDB_URL)
  --only a,b   run these cases only
  --runs N     run each case so many times and report the run in the middle (default 1)
  --once       one tiny iteration of everything, on every store that is there: shows that the benchmark works, not how fast anything is
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
      store: { type: 'string' },
      only: { type: 'string' },
      runs: { type: 'string', default: '1' },
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      dir: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const only = values.only?.split(',') ?? casesOf(values.store ?? (values.once ? undefined : 'sqlite'), cases)
  const unknown = only.find((name) => !cases.includes(name))
  if (unknown !== undefined) throw new Error(`--only: expected some of ${cases.join(', ')}, got ${unknown}`)
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs: expected a number from 1, got ${values.runs}`)
  const { once, json, keep, help } = values
  return { only, runs, once, json, keep, help, dir: resolve(values.dir ?? realDisk()) }
}

/** A case of a server has its name before it. Undefined: of every store. */
function casesOf(store: string | undefined, cases: readonly string[]): readonly string[] {
  const found = cases.filter((name) => store === undefined || storeOf(name) === store)
  if (found.length > 0) return found
  throw new Error(`--store: expected one of ${[...new Set(cases.map(storeOf))].join(', ')}, got ${store}`)
}

export const storeOf = (name: string): string => (name.includes('/') ? name.slice(0, name.indexOf('/')) : 'sqlite')

/** A file in memory knows no fsync: it would flatter every figure. */
function realDisk(): string {
  return ['tmpfs', 'ramfs'].includes(filesystemOf(tmpdir())) ? '.' : tmpdir()
}
