import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import type { Command } from 'commander'
import type { BundleReport } from '../../runtime/audit/bundle-check.js'
import type { AuditFinding } from '../../runtime/audit/findings.js'
import type { AuditReport } from '../../runtime/audit/verifier.js'
import { CliError, EXIT } from './exit-codes.js'
import { repeated, textOf } from './flags.js'
import { type Output, oneLine, plural } from './output.js'
import { Session } from './session.js'
import { untilStopped } from './wait.js'

interface VerifyFlags {
  readonly held?: string[]
  readonly key?: string[]
}

export function addVerify(audit: Command): void {
  audit
    .command('verify')
    .summary('find out whether anybody has touched the log')
    .description(
      'Holds the whole log against its checkpoints and against those that you hold, and says where it differs. With a file (a proof, an export, a segment, compressed or not) that is checked, and no ledger is opened.',
    )
    .argument('[file]', 'a file that left a ledger')
    .option(
      '--held <file>',
      'a signed note that you have kept, or a proof or an export; may be repeated',
      repeated(String),
    )
    .option('--key <key|file>', 'public key to believe, or a file with it; may be repeated', repeated(String))
    .addHelpText('after', VERIFY_HELP)
    .action(async (file: string | undefined, flags: VerifyFlags, command: Command) => {
      const session = new Session(command)
      const files = (flags.held ?? []).filter(isBundle)
      const held = (flags.held ?? []).filter((path) => !files.includes(path)).map((path) => textOf('--held', path))
      const keys = flags.key?.map(keyOf)
      if (file !== undefined && files.length > 0)
        throw new CliError('USAGE', `A file is held against signed notes: ${files[0]} is none.`)
      if (file === undefined) await verifyLog(session, { held, files, ...(keys && { keys }) })
      else await verifyFile(session, file, { held, keys })
    })
}

const VERIFY_HELP = `
Whatever was written anew together with its hashes is located between two notes
that are held, and event by event with a proof or an export from before.
Without --held all rests on the key: whoever has it can have written the log
anew. Without --key all rests on the log itself.

Exit codes:
  0  nothing was found
  5  something differs, and is listed

Examples:
  $ jobledger audit verify --held monday.note --key jobs.pub
  $ jobledger audit verify order-17.proof --held monday.note --key jobs.pub`

async function verifyLog(
  session: Session,
  request: { held: string[]; files: string[]; keys?: string[] },
): Promise<void> {
  const { output } = session
  const report = await session.read((ledger) =>
    untilStopped('nothing can be said', (signal) =>
      ledger.audit.verify({
        ...request,
        signal,
        onProgress: ({ events, of }) => output.progress(`${plural(events, 'event')} of ${of}`),
      }),
    ),
  )
  output.progress('')
  conclude(output, report, report.found, logFacts(report))
}

async function verifyFile(
  { output }: Session,
  file: string,
  request: { held: string[]; keys: string[] | undefined },
): Promise<void> {
  const { checkBundleFile } = await import('../audit-tools.js')
  const report = await untilStopped('nothing can be said', (signal) =>
    reading(file, () =>
      checkBundleFile(file, { ...request, signal, onProgress: (lines) => output.progress(plural(lines, 'line')) }),
    ),
  )
  output.progress('')
  conclude(output, report, report.findings.length, fileFacts(report, request.keys !== undefined))
}

/** Data is what was checked and what was found; the exit code is the judgement. */
function conclude(
  output: Output,
  report: { readonly ok: boolean; readonly findings: readonly AuditFinding[] },
  found: number,
  facts: Readonly<Record<string, string | undefined>>,
): void {
  const findings = report.findings.map(({ kind, message }) => `${output.style('red', kind)}: ${oneLine(message)}`)
  output.data(report, () => [output.facts(facts), ...findings].join('\n'))
  if (report.ok) return
  output.complain(`${plural(found, 'difference')} found.`)
  process.exitCode = EXIT.integrity
}

function logFacts(report: AuditReport): Record<string, string | undefined> {
  const { size, checkpoints, origin, root, events, removed, removals, erased, unsealed, missing } = report
  return {
    checkpoints: checkpoints === 0 ? 'none' : `${checkpoints}, the last of ${plural(size, 'event')} of ${origin}`,
    root,
    compared: plural(events, 'event'),
    missing: missing > 0 ? `${plural(missing, 'event')}: nothing can be said of them` : undefined,
    removed: removed > 0 ? `${plural(removed, 'event')}, by ${plural(removals, 'removal')} on record` : undefined,
    erased: erased > 0 ? `${erased} bodies, on record` : undefined,
    unsealed: unsealed > 0 ? `${plural(unsealed, 'event')} since: nothing can be said of them yet` : undefined,
    'relative to': RELATIVE[report.relativeTo],
  }
}

const RELATIVE: Readonly<Record<AuditReport['relativeTo'], string>> = {
  held: 'the checkpoints held: what they cover is as it was then',
  keys: 'the keys given: whoever has the private one can have written all of it anew',
  log: 'what the log says of itself: whoever can write to it can have written all of it anew',
}

function fileFacts(report: BundleReport, hasKeys: boolean): Record<string, string | undefined> {
  const { kind, events, streams, origin, size, root, proven, signedBy, held, erased, removed, unsealed, later } = report
  const { uncovered, unproven } = report
  const signature = signedBy ?? (hasKeys ? 'of none of the keys given' : 'not checked: no --key')
  return {
    file: `${kind}, ${plural(events, 'event')} of ${plural(streams, 'stream')}`,
    checkpoint: size === undefined ? 'none' : `${plural(size, 'event')} of ${origin}`,
    root,
    signature: size === undefined ? undefined : signature,
    proven: unproven === undefined ? provenWords(proven, unsealed) : `nothing: ${oneLine(unproven)}`,
    held: held > 0 ? `${plural(held, 'checkpoint')}, which this one grew out of` : 'none',
    erased: erased > 0 ? `${erased} bodies, on record` : undefined,
    removed: removed > 0 ? `${plural(removed, 'event')}: only hashes are left` : undefined,
    unsealed: unsealed > 0 ? `${plural(unsealed, 'event')} since: nothing can be said of them yet` : undefined,
    uncovered:
      uncovered > 0 && size !== undefined
        ? `${plural(uncovered, 'event')} of batches, which are in no tree`
        : undefined,
    later: later > 0 ? `${plural(later, 'event')} since, by its own word: not in the file` : undefined,
  }
}

const PROVEN: Readonly<Record<BundleReport['proven'], string>> = {
  each: 'each event is in that checkpoint',
  whole: 'what is not unsealed is in that checkpoint, in order and without a gap',
  nothing: 'that the file is as it was written, and nothing more',
}

const provenWords = (proven: BundleReport['proven'], unsealed: number): string =>
  proven === 'each' && unsealed > 0 ? `${PROVEN.each}, but for the last ${unsealed}` : PROVEN[proven]

/** A proof or an export, and no note. */
function isBundle(path: string): boolean {
  if (!existsSync(path)) return false
  const begin = Buffer.alloc(BUNDLE_BEGINS.length)
  const file = openSync(path, 'r')
  readSync(file, begin)
  closeSync(file)
  return path.endsWith('.gz') || begin.toString() === BUNDLE_BEGINS
}

const BUNDLE_BEGINS = '{"format":"jobledger/'

const keyOf = (given: string): string => (/^[^+\s]+\+[0-9a-f]{8}\+/.test(given) ? given : textOf('--key', given).trim())

/** A file that is not there is bad usage; what is wrong in it is another matter. */
async function reading<Result>(file: string, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read()
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR') {
      throw new CliError('USAGE', `Cannot read ${file}: ${(cause as Error).message}`, { cause })
    }
    throw cause
  }
}
