/** `npm run chaos`: see `arguments.ts`. */
import { HELP, readArguments, UsageError } from './arguments.js'
import { runFleet } from './fleet.js'
import { renderReport, Ticker } from './talk.js'

const USAGE = 2
const INTERRUPTED = 130
const SEEDS = 1_000_000

async function main(argv: readonly string[]): Promise<number> {
  const given = readArguments(argv, Math.floor(Math.random() * SEEDS))
  if (given === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  process.stderr.write(`seed ${given.seed}\n`)
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort(new Interrupted()))
  const ticker = new Ticker(process.stderr)
  const { signal } = interrupt
  const pace = { leastMs: 500, mostMs: 8_000 }
  const report = await runFleet({ ...given, pace, signal, onProgress: (progress) => ticker.show(progress) })
  ticker.stop()
  process.stdout.write(`seed       ${given.seed}\n${renderReport(report)}\n`)
  const isWell = report.faults.length === 0
  if (!isWell || given.keep) process.stderr.write(`The files are in ${report.folder}.\n`)
  return isWell ? 0 : 1
}

class Interrupted extends Error {}

function explain(error: unknown): number {
  if (error instanceof Interrupted) return INTERRUPTED
  const isUsage = error instanceof UsageError
  process.stderr.write(isUsage ? `${error.message}\nSee --help.\n` : `${(error as Error).stack}\n`)
  return isUsage ? USAGE : 1
}

process.exitCode = await main(process.argv.slice(2)).catch(explain)
