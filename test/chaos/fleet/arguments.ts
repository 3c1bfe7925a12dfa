import { parseArgs } from 'node:util'

export const HELP = `Usage: npm run chaos -- [options]

Several processes work on one ledger file while each of them is killed (SIGKILL), frozen past its leases (SIGSTOP, SIGCONT)
and shut down and started again, at random. Then the log alone must show that nothing was lost and nothing done twice.

  --seed N        repeats jobs and deeds: which, to which process, after how long (default: a new one, printed).
                  What the system makes of them, and in which moment a signal arrives, no number repeats.
  --jobs N        how many jobs (default 20,000)
  --minutes N     as many jobs as come in so many minutes, instead
  --rate N        how many come in per second, on average (default 200)
  --processes N   default 4; one alone is never frozen, and must take jobs strictly in order
  --concurrency N runs at once in each process (default 10)
  --keep          leave the files, also when all is well
  --help          print this

Exit codes: 0 all is well, 1 something is wrong (the files are left), 2 usage, 130 interrupted.
`

export interface Arguments {
  readonly seed: number
  readonly jobs: number
  readonly minutes: number | undefined
  readonly perSecond: number
  readonly processes: number
  readonly concurrency: number
  readonly keep: boolean
}

/** The command line cannot be used as it is. */
export class UsageError extends Error {}

/** `fresh` is the seed if none is given. Throws UsageError. */
export function readArguments(argv: readonly string[], fresh: number): Arguments | 'help' {
  const values = parse(argv)
  if (values.help) return 'help'
  if (values.minutes !== undefined && values.jobs !== undefined) {
    throw new UsageError('--jobs and --minutes: expected one of them, got both')
  }
  return {
    seed: toNumber('--seed', values.seed, fresh, 0),
    jobs: toNumber('--jobs', values.jobs, 20_000, 1),
    minutes: values.minutes === undefined ? undefined : toNumber('--minutes', values.minutes, 1, 1),
    perSecond: toNumber('--rate', values.rate, 200, 1),
    processes: toNumber('--processes', values.processes, 4, 1),
    concurrency: toNumber('--concurrency', values.concurrency, 10, 1),
    keep: values.keep,
  }
}

interface Values {
  readonly seed?: string
  readonly jobs?: string
  readonly minutes?: string
  readonly rate?: string
  readonly processes?: string
  readonly concurrency?: string
  readonly keep: boolean
  readonly help: boolean
}

function parse(argv: readonly string[]): Values {
  try {
    const text = { type: 'string' } as const
    const flag = { type: 'boolean', default: false } as const
    return parseArgs({
      args: [...argv],
      options: {
        seed: text,
        jobs: text,
        minutes: text,
        rate: text,
        processes: text,
        concurrency: text,
        keep: flag,
        help: flag,
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function toNumber(option: string, given: string | undefined, otherwise: number, least: number): number {
  if (given === undefined) return otherwise
  const number = Number(given.replaceAll(',', ''))
  if (given.trim() !== '' && Number.isSafeInteger(number) && number >= least) return number
  throw new UsageError(`${option}: expected a whole number from ${least}, got ${given}`)
}
