/** export and import: a ledger in a file of its own. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import type { Copied } from '../../runtime/copy/copy.js'
import type { Exported, ExportOptions } from '../../runtime/export/export.js'
import { bytes } from '../shared/bytes.js'
import { inWords, Pace } from './copy.js'
import { CliError, EXIT } from './exit-codes.js'
import { instant, repeated, textOf } from './flags.js'
import { plural } from './output.js'
import { requireLedger, Session, shown, withLedger } from './session.js'
import { untilStopped } from './wait.js'

interface ExportFlags {
  readonly to: string
  readonly force?: boolean
  readonly from?: number
  readonly until?: number
  readonly stream?: string[]
  readonly job?: string[]
  readonly since?: string
}

const text = (given: string): string => given

export function addExport(program: Command): void {
  program
    .command('export')
    .summary('write the log, or a part of it, into a file')
    .description(
      'Writes events as they are stored, bodies included, one in a line, after a manifest and before a hash of all of it; what is archived is in it, too. Where the log has a checkpoint the file proves by it what it has. A whole log can be imported into an empty ledger of any store; a part can be read.',
    )
    .requiredOption('--to <file>', 'the file; compressed if its name ends in .gz')
    .option('--from <instant>', 'from then on', instant('--from'))
    .option('--until <instant>', 'up to then', instant('--until'))
    .option('--stream <prefix>', 'streams that begin with this; may be repeated', repeated(text))
    .option('--job <id>', 'of this job; may be repeated', repeated(text))
    .option('--since <file>', 'also prove that the log has only grown since this signed note')
    .option('--force', 'take the place of a file that is there')
    .addHelpText('after', EXPORT_HELP)
    .action(async (flags: ExportFlags, command: Command) => {
      const session = new Session(command)
      const url = session.url()
      requireLedger(url)
      const exported = await write(session, url, flags)
      session.output.data({ ledger: shown(url), ...exported }, () => {
        const { file, events, streams, bytes: size } = exported
        return `${file}: ${plural(events, 'event')} of ${plural(streams, 'stream')}, ${bytes(size)}`
      })
      const { proven, unsealed, unproven } = exported
      if (unproven === undefined) {
        session.output.talk(proofInWords(proven, unsealed))
        return
      }
      session.output.complain(`The file is there, and proves nothing: ${unproven}`)
      process.exitCode = EXIT.integrity
    })
}

function proofInWords(proven: Exported['proven'], unsealed: number): string {
  if (proven === 'nothing') return 'No checkpoint covers anything of it: it proves nothing.'
  return `Proven by the last checkpoint${unsealed > 0 ? `, but for ${plural(unsealed, 'event')} that came later` : ''}.`
}

const EXPORT_HELP = `
The format is docs/audit-format.md. The file has payloads and results in it: it
is made for its owner alone to read.

Exit codes:
  3  no job has an id that --job names, or it was removed
  4  the file is there already, without --force
  5  a file of the archive is missing, or not as it was sealed; or the log is not
     what was signed of it: then the file is made, and proves nothing

Examples:
  $ jobledger export --to jobs.ndjson.gz
  $ jobledger export --to may.ndjson --from 2026-05-01T00:00Z --until 2026-06-01T00:00Z
  $ jobledger export --to one.ndjson --job import-7 --json`

function write(session: Session, url: string, flags: ExportFlags): Promise<Exported> {
  const { output } = session
  const { to, force = false, from, until, stream, job, since } = flags
  const filter = { ...(stream && { streams: stream }), ...(job && { job }) }
  return untilStopped('there is no file', (signal) =>
    withLedger({ url, logger: session.log, ...session.storage }, async (ledger) => {
      const options: ExportOptions = {
        ...{ to, force, signal },
        ...(from !== undefined && { from }),
        ...(until !== undefined && { until }),
        ...(since !== undefined && { since: textOf('--since', since) }),
        ...(Object.keys(filter).length > 0 && { filter }),
        onProgress: ({ events, total }) => output.progress(`${events} of ${plural(total, 'event')}`),
      }
      try {
        return await ledger.export(options)
      } finally {
        output.progress('')
      }
    }),
  )
}

export function addImport(program: Command): void {
  program
    .command('import')
    .summary('make a ledger of an exported one')
    .description(
      'Reads an export of a whole log and makes the same log of it: order, ids, revisions, times, facts and bodies. The file is read through and checked before anything is written. The ledger must be empty, or what an interrupted import has left of it: then it goes on there. At the end it is read again and compared.',
    )
    .argument('<file>', 'as export wrote it')
    .addHelpText('after', IMPORT_HELP)
    .action(async (file: string, _flags: object, command: Command) => {
      const session = new Session(command)
      if (!existsSync(file)) throw new CliError('USAGE', `There is no file ${file}.`)
      const url = session.url()
      const copied = await read(session, file, url)
      session.output.data({ file, ledger: shown(url), ...copied }, () => session.output.facts(inWords(copied)))
    })
}

const IMPORT_HELP = `
Exit codes:
  4  the ledger holds something else
  5  the file is damaged, cut off, or only a part of a log

Examples:
  $ jobledger import jobs.ndjson.gz --ledger postgres://app@db.internal/app
  $ jobledger import jobs.ndjson.gz --ledger ./again.db --json`

async function read({ output, log }: Session, file: string, to: string): Promise<Copied> {
  const { importLedger } = await import('../copy-ledger.js')
  const pace = new Pace()
  try {
    return await untilStopped('run the same import again, it goes on where it is', (signal) =>
      importLedger({
        ...{ file, to, signal, logger: log },
        onProgress: (progress) => {
          const line = pace.line(progress)
          if (line !== undefined) output.progress(line)
        },
      }),
    )
  } finally {
    output.progress('')
  }
}
