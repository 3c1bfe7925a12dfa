/** The command line as a whole: its verbs, its global options, and what becomes of errors. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError, Option } from 'commander'
import { addArchive } from './archive.js'
import { addAttempts } from './attempts.js'
import { addAudit } from './audit.js'
import { addBackup } from './backup.js'
import { addCopy } from './copy.js'
import { addDead } from './dead.js'
import { addDeeds } from './deeds.js'
import { addDiff } from './diff.js'
import { addDoctor } from './doctor.js'
import { addEnqueue, addResult } from './enqueue.js'
import { codeOf, EXIT, exitCodeOf, jobIdOf, messageOf } from './exit-codes.js'
import { addExplain } from './explain.js'
import { addExport, addImport } from './export.js'
import { name } from './flags.js'
import { addHistory, addList } from './inspect.js'
import { LOG_LEVELS } from './logger.js'
import { addMigrate } from './migrate.js'
import { addCancel, addPromote, addReschedule, addRetry } from './operate.js'
import { oneLine } from './output.js'
import { addQuery } from './query.js'
import { addQueues, addStats } from './queues.js'
import { addRebuild } from './rebuild.js'
import { addExpunge, addRemove } from './remove.js'
import { addReplay } from './replay.js'
import { addReport } from './report.js'
import { addRetention } from './retention.js'
import { addSearch } from './search.js'
import { DEFAULT_LEDGER } from './session.js'
import { addStatus } from './status.js'
import { addTriggers } from './triggers.js'
import { addWork } from './work.js'
import { addLeases, addWorkers } from './workers.js'

/** In the order and under the headings of the help. */
const VERBS: Readonly<Record<string, readonly ((program: Command) => void)[]>> = {
  'Run jobs:': [addEnqueue, addResult, addWork],
  'Look into them:': [
    addStatus,
    addHistory,
    addAttempts,
    addExplain,
    addList,
    addSearch,
    addStats,
    addReport,
    addQuery,
    addDeeds,
    addWorkers,
    addLeases,
    addReplay,
    addDiff,
    addDoctor,
  ],
  'Act on them:': [
    addCancel,
    addRetry,
    addPromote,
    addReschedule,
    addExpunge,
    addRemove,
    addDead,
    addQueues,
    addTriggers,
    addRetention,
  ],
  'Look after the store:': [addAudit, addMigrate, addBackup, addCopy, addRebuild, addArchive, addExport, addImport],
}

/** Runs one command line and ends the process: a config may hold sockets open that nobody will close. */
export async function run(argv: readonly string[]): Promise<never> {
  survivePipes()
  await perform(argv)
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  process.exit()
}

/** Runs one command line; what came of it is in `process.exitCode`. */
export async function perform(argv: readonly string[]): Promise<void> {
  const program = build()
  try {
    await program.parseAsync(argv)
  } catch (error) {
    process.exitCode = report(error, program)
  }
}

function build(): Command {
  const program = new Command('jobledger')
    .usage('<verb> [options]')
    .description('An event-sourced job queue in one SQLite file: enqueue, run and look into jobs.')
    .version(version(), '-V, --version')
    .option('-l, --ledger <url|path>', `where the ledger is (default: $JOBLEDGER_URL or ${DEFAULT_LEDGER})`)
    .option('--archive <folder>', 'where its archive is (default: $JOBLEDGER_ARCHIVE or, SQLite, <path>-archive)')
    .option('--json', 'one JSON document on stdout; errors as JSON on stderr')
    .option('-q, --quiet', 'say nothing but data and errors')
    .option('--no-color', 'plain text; so does NO_COLOR, and a pipe')
    .addOption(
      new Option('--log-level <level>', 'what is logged on stderr (default: error, work: info)').choices(LOG_LEVELS),
    )
    .option('--as <user>', 'who does it: recorded by the verbs that change something', name('--as'))
    .option('--reason <text>', 'why: recorded with it', name('--reason'))
    .configureHelp({ showGlobalOptions: true })
    // What commander says of bad usage is told by `report`, as everything else that goes wrong.
    .configureOutput({ outputError: () => {} })
    .exitOverride()
    .addHelpText('after', HELP)
  for (const [heading, verbs] of Object.entries(VERBS)) {
    program.commandsGroup(heading)
    for (const add of verbs) add(program)
  }
  return program
}

const HELP = `
The ledger is sqlite:<path>, or a path alone. Payloads and results are JSON.
Durations are 250ms, 30s, 1h30m, 2d, or a number of ms. Instants are ISO 8601
with a zone. Printed times are UTC; in --json, ms since the epoch.

Exit codes:
  0    done
  1    failure: the job failed or was cancelled, the disk is full, ...
  2    usage: a wrong flag, config or payload
  3    no such job, worker or trigger (any more), or no ledger
  4    conflict: the id is taken, the job has (or has not) ended, runs, is needed
       by another one, its key is held, its payload was erased, or a trigger
       made no job
  5    integrity: the ledger is damaged, or not one this version can use
  6    timeout: the job has not ended in time
  130  stopped by SIGINT
  143  stopped by SIGTERM

Examples:
  $ jobledger enqueue send-mail '{"to":"ada@example.com"}'
  $ jobledger work --config jobs.config.ts
  $ jobledger list --state failed
  $ jobledger enqueue --help`

/** From here it is as far to package.json as from the built file that is run. */
function version(): string {
  const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { version: string }).version
}

/** Says what went wrong, in one line, and gives back the exit code. */
function report(error: unknown, program: Command): number {
  if (error instanceof CommanderError) return reportUsage(error, program)
  const exitCode = exitCodeOf(error)
  const known = codeOf(error) !== undefined
  const message = known ? messageOf(error) : `Unexpected: ${messageOf(error)} (JOBLEDGER_DEBUG=1 shows where)`
  const jobId = jobIdOf(error)
  complain(program, { code: codeOf(error) ?? 'UNEXPECTED', message, exitCode, ...(jobId !== undefined && { jobId }) })
  if (wantsStack(program) && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  return exitCode
}

function reportUsage({ code, exitCode, message }: CommanderError, program: Command): number {
  if (exitCode === EXIT.ok) return EXIT.ok
  // Without a verb the help has been printed already.
  if (code !== 'commander.help') {
    const told = message.replace(/^error: /, '')
    complain(program, { code: 'USAGE', message: told, exitCode: EXIT.usage })
  }
  return EXIT.usage
}

function complain(program: Command, error: { code: string; message: string; exitCode: number; jobId?: string }): void {
  const hint = error.exitCode === EXIT.usage ? '\nSee: jobledger --help, or jobledger <verb> --help' : ''
  process.stderr.write(
    program.opts().json ? `${JSON.stringify({ error })}\n` : `error: ${oneLine(error.message)}${hint}\n`,
  )
}

function wantsStack(program: Command): boolean {
  const { logLevel } = program.opts<{ logLevel?: string }>()
  return logLevel === 'debug' || logLevel === 'trace' || Boolean(process.env.JOBLEDGER_DEBUG)
}

/** `jobledger list | head -1` is not a crash: who does not read on does not want more. */
function survivePipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
}

/** A pipe takes its time; what has not arrived yet would be lost at exit. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve())
  })
}
