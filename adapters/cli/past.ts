/** Flags of the verbs that look into the past. */
import type { Command } from 'commander'
import type { AsOf } from '../../runtime/history/as-of.js'
import type { RangeOptions } from '../../runtime/history/checks.js'
import type { Ledger } from '../../runtime/ledger.js'
import { instant, repeated } from './flags.js'

export interface AsOfFlags {
  readonly asOf?: number
}

export function addAsOf(command: Command): Command {
  return command.option('--as-of <instant>', 'as it was then: ISO 8601 with a zone, or ms', instant('--as-of'))
}

/** What `ledger.asOf` gives for the flag; undefined: as it is. */
export const pastOf = (ledger: Ledger, asOf: number | undefined): AsOf | undefined =>
  asOf === undefined ? undefined : ledger.asOf(asOf)

export interface RangeFlags {
  readonly from?: number
  readonly until?: number
  readonly job?: string[]
  readonly queue?: string[]
}

export function addRange(command: Command): Command {
  return command
    .option('--from <instant>', 'from then on: ISO 8601 with a zone, or ms', instant('--from'))
    .option('--until <instant>', 'the last instant (default: now)', instant('--until'))
    .option('--job <id>', 'only of this job; may be repeated, as --queue', repeated(String))
    .option('--queue <name>', 'only of jobs of this queue', repeated(String))
}

export function rangeOf({ from, until, job, queue }: RangeFlags): RangeOptions {
  return {
    ...(from !== undefined && { from }),
    ...(until !== undefined && { until }),
    filter: { ...(job && { job }), ...(queue && { queue }) },
  }
}
