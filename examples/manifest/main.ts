/** Digests a folder. Everything that can go wrong on the way is in the ledger, so the remedy is always: run it again. */
import type { Ledger } from '../../index.js'
import { JobledgerError, openLedger } from '../../index.js'
import type { Arguments } from './arguments.js'
import { HELP, readArguments, UsageError } from './arguments.js'
import { unfinished } from './checksum-file.js'
import type { Manifest } from './jobs.js'
import { defineWrite, digest, manifest } from './jobs.js'
import { errorLog } from './log.js'
import { Progress } from './progress.js'
import { historyTable, listMissing, summary } from './report.js'
import { enqueueTree, queueOf } from './run.js'
import { scan } from './scan.js'
import { Tally } from './tally.js'

const CONCURRENCY = 32
/** Of a table where stdout is not a terminal. */
const WIDTH = 120
const USAGE = 2
const INTERRUPTED = 130

async function main(argv: readonly string[]): Promise<number> {
  const given = readArguments(argv)
  if (given === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort())
  const tally = new Tally()
  const progress = new Progress(tally, process.stderr)
  interrupted.signal.addEventListener('abort', () => progress.say('Stopping: files being read now are finished first.'))
  try {
    return await digestFolder(given, tally, progress, interrupted.signal)
  } catch (error) {
    if (!interrupted.signal.aborted) throw error
    progress.say('Interrupted. Nothing is lost: run the same command again and it goes on from here.')
    return INTERRUPTED
  } finally {
    progress.stop()
  }
}

async function digestFolder(given: Arguments, tally: Tally, progress: Progress, signal: AbortSignal): Promise<number> {
  const { folder, out } = given
  const read = (id: string): Promise<Manifest> => ledger.result(id) as Promise<Manifest>
  const write = defineWrite(read)
  const url = `sqlite:${given.ledger}`
  const ledger: Ledger = await openLedger({ url, jobs: [digest, manifest, write], logger: errorLog })
  try {
    ledger.events$.subscribe((event) => {
      tally.follow(event)
      progress.update()
    })
    const queue = queueOf(folder)
    progress.expect(await unendedJobs(ledger, queue))
    // What an earlier run left undone goes on at once, while this one looks around.
    await ledger.start({ concurrency: CONCURRENCY, queues: [queue] })
    const tree = await scan(folder, { leaveOut: ownFiles(given), signal })
    const onEnqueued = (count: number): void => progress.expect(count)
    const run = await enqueueTree(ledger, tree, { folder, out, write, signal, onEnqueued })
    progress.expectNoMore()
    const totals = await run.write.result({ signal })
    progress.stop()
    const say = (line: string): void => progress.say(line)
    await listMissing(ledger, read, { top: run.top, totals, listAll: given.listAll, say })
    const example = tally.example ?? run.write.id
    const table = await historyTable(ledger, example, process.stdout.columns ?? WIDTH)
    process.stdout.write(`${summary(totals, tally)}\nmanifest  ${out}\n\nHistory of job ${example}\n${table}\n`)
    return totals.failed === 0 ? 0 : 1
  } finally {
    await ledger.close({ drain: '5s', timeout: '10s' })
  }
}

async function unendedJobs(ledger: Ledger, queue: string): Promise<number> {
  const counts = (await ledger.queues.stats())[queue]
  if (counts === undefined) return 0
  return counts.held + counts.blocked + counts.scheduled + counts.ready + counts.running
}

/** Files that this program writes itself. */
function ownFiles({ out, ledger }: Arguments): ReadonlySet<string> {
  const databases = [ledger, `${ledger}-views`].flatMap((file) => [file, `${file}-wal`, `${file}-shm`])
  return new Set([out, unfinished(out), ...databases])
}

function explain(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\nTry --help.\n`)
    return USAGE
  }
  process.stderr.write(`${error instanceof JobledgerError ? error.message : (error as Error).stack}\n`)
  return 1
}

process.exitCode = await main(process.argv.slice(2)).catch(explain)
