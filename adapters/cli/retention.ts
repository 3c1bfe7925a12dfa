/** retention: ended jobs go by rule, now rather than when a worker gets to it. */
import { type Command, Option } from 'commander'
import type { Outcome } from '../../domain/job/evolve.js'
import type { RetentionCounts, RetentionReport, RetentionRule, RetentionRun } from '../../runtime/upkeep/retention.js'
import { loadConfig } from './config.js'
import { storageOf } from './enqueue.js'
import { CliError } from './exit-codes.js'
import { addFilter, duration, type FilterFlags, filterOf, integer, oneOf, repeated, size } from './flags.js'
import type { Output } from './output.js'
import { requireLedger, Session, withLedger } from './session.js'
import { untilStopped } from './wait.js'

interface RetentionFlags extends FilterFlags {
  readonly action?: 'remove' | 'expunge'
  readonly state?: Outcome[]
  readonly olderThan?: number
  readonly maxCount?: number
  readonly maxBytes?: number
  readonly keepNewest?: number
  readonly dryRun?: true
  readonly config?: string
}

/** Recorded with what it removes. */
const RULE = 'command-line'

export function addRetention(program: Command): void {
  const retention = program
    .command('retention')
    .summary('remove or expunge ended jobs by rule')
    .description('Removes or expunges ended jobs by rule.')
    .addHelpText('after', '\nExamples:\n  $ jobledger retention run --older-than 30d --dry-run')
  const run = retention
    .command('run')
    .summary('apply one rule, or those of a config, now')
    .description(
      'Applies one rule made of flags, or the rules of a worker config. A job is due when it matches --state, --type, --queue and --channel and is older than --older-than, or beyond the newest --max-count or --max-bytes; but never one of the newest --keep-newest, nor one that a job which has not ended depends on. Jobs whose own time (enqueue --retain) is over go, too.',
    )
    .addOption(new Option('--action <what>', 'what becomes of them (default: remove)').choices(['remove', 'expunge']))
    .option(
      '--state <state>',
      'succeeded, failed or cancelled; may be repeated',
      repeated(oneOf('--state', ['succeeded', 'failed', 'cancelled'])),
    )
  addFilter(run)
    .option('--older-than <duration>', 'ended longer ago than this', duration('--older-than'))
    .option('--max-count <n>', 'beyond the newest so many', integer('--max-count', 0))
    .option('--max-bytes <size>', 'beyond the newest so many bytes: 65536, 64MiB', size('--max-bytes'))
    .option('--keep-newest <n>', 'never one of the newest so many', integer('--keep-newest', 0))
    .option('-c, --config <file>', 'the rules of a worker config instead')
    .option('--dry-run', 'count what is due, and leave it')
    .addHelpText('after', RUN_HELP)
    .action(async (flags: RetentionFlags, command: Command) => {
      const session = new Session(command)
      session.checkActor()
      const report = await applied(session, flags)
      session.output.data({ ...report, dryRun: flags.dryRun === true }, () => reportText(session.output, report))
      if (flags.dryRun) session.output.talk('Nothing was done: these are due.')
    })
}

const RUN_HELP = `
Examples:
  $ jobledger retention run --older-than 30d --dry-run
  $ jobledger retention run --state succeeded --older-than 7d --keep-newest 1000
  $ jobledger retention run --action expunge --queue mail --older-than 24h
  $ jobledger retention run --max-bytes 512MiB --json
  $ jobledger retention run --config jobs.config.ts`

async function applied(session: Session, flags: RetentionFlags): Promise<RetentionReport> {
  const { output } = session
  const rule = toRule(flags)
  const config = flags.config === undefined ? undefined : await loadConfig(flags.config)
  if (config !== undefined && !config.retention?.rules?.length) {
    throw new CliError('USAGE', `${flags.config} has no rules: \`retention: { rules: [...] }\`.`)
  }
  const url = session.url(config?.url)
  requireLedger(url)
  const target = { url, logger: session.log, ...(config && storageOf(config)), ...session.storage }
  return untilStopped('what was removed until now stays removed', (signal) =>
    withLedger(target, async (ledger) => {
      const run: RetentionRun = {
        ...(rule !== undefined && { rules: [rule] }),
        ...(flags.dryRun && { dryRun: true }),
        signal,
        onProgress: (so) => output.progress(inWords(so)),
      }
      try {
        return await session.speaking(ledger).retention.run(run)
      } finally {
        output.progress('')
      }
    }),
  )
}

/** Undefined where a config brings the rules. Throws USAGE. */
function toRule({ config, dryRun, type, queue, channel, ...own }: RetentionFlags): RetentionRule | undefined {
  const rule = { ...own, ...filterOf({ ...(type && { type }), ...(queue && { queue }), ...(channel && { channel }) }) }
  if (config !== undefined) {
    if (Object.keys(rule).length === 0) return undefined
    throw new CliError('USAGE', 'Give the rule by flags or by --config, not by both.')
  }
  if (rule.olderThan !== undefined || rule.maxCount !== undefined || rule.maxBytes !== undefined) {
    return { name: RULE, ...rule }
  }
  throw new CliError('USAGE', 'Say what is due: --older-than, --max-count or --max-bytes, or --config <file>.')
}

const inWords = ({ removed, expunged, kept }: RetentionCounts): string =>
  `${removed} removed, ${expunged} expunged, ${kept} kept`

function reportText(output: Output, { rules, ...total }: RetentionReport): string {
  const row = (name: string, { removed, expunged, kept }: RetentionCounts): string[] => [
    name,
    ...[removed, expunged, kept].map(String),
  ]
  const rows = Object.entries(rules).map(([name, counts]) => row(name, counts))
  const heading = ['RULE', 'REMOVED', 'EXPUNGED', 'KEPT']
  return output.table(heading, rows.length === 1 ? rows : [...rows, row('all', total)])
}
