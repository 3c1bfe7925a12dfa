/** audit: checkpoints, proofs, and whether anybody has touched the log. */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs'
import type { Command } from 'commander'
import { readManifest } from '../../domain/audit/bundle.js'
import { InvalidOption } from '../../domain/errors.js'
import type { AuditKey } from '../../runtime/audit.js'
import { addVerify } from './audit-verify.js'
import { CliError } from './exit-codes.js'
import { name, textOf } from './flags.js'
import { iso, plural } from './output.js'
import { requireLedger, Session, withLedger } from './session.js'
import { untilStopped } from './wait.js'

export function addAudit(program: Command): void {
  const audit = program
    .command('audit')
    .summary('checkpoints, proofs and their check')
    .description(
      'Signs checkpoints of the log, proves by them what is in it, and checks whether anybody has touched it. A proof is as good as the checkpoint that somebody else holds: whoever has the key can sign a log anew that nobody has seen.',
    )
    .addHelpText('after', AUDIT_HELP)
  addKeys(audit)
  addCheckpoint(audit)
  addProve(audit)
  addVerify(audit)
}

const AUDIT_HELP = `
Examples:
  $ jobledger audit keys generate --name example.com/jobs --to jobs.key > jobs.pub
  $ jobledger audit checkpoint --key jobs.key > monday.note
  $ jobledger audit prove order-17 --since monday.note > order-17.proof
  $ jobledger audit verify order-17.proof --held monday.note --key jobs.pub
  $ jobledger audit verify --held monday.note --key jobs.pub`

function addKeys(audit: Command): void {
  const keys = audit
    .command('keys')
    .summary('keys to sign with')
    .description('Makes keys, and lists those of a ledger.')
  keys
    .command('generate')
    .summary('make a new key')
    .description(
      'Makes a key of Ed25519. The private one goes to a file that only its owner may read; the public one is printed: give it to whoever checks.',
    )
    .requiredOption('--name <name>', 'whose it is, as example.com/jobs; no blanks, no +', name('--name'))
    .requiredOption('--to <file>', 'where the private key goes; must not be there yet')
    .addHelpText(
      'after',
      '\nExamples:\n  $ jobledger audit keys generate --name example.com/jobs --to jobs.key > jobs.pub',
    )
    .action(async (flags: { readonly name: string; readonly to: string }, command: Command) => {
      const session = new Session(command)
      const key = await generate(flags.name, flags.to)
      session.output.data({ key, file: flags.to }, () => key)
      session.output.talk(`The private key is in ${flags.to}: whoever has it can sign. Keep it away from the log.`)
    })
  keys
    .command('list')
    .summary('keys that checkpoints were signed with')
    .description(
      'Lists the public keys that the checkpoints of this ledger name. Whether they are yours only you can say.',
    )
    .addHelpText('after', '\nExamples:\n  $ jobledger audit keys list')
    .action(async (_flags: object, command: Command) => {
      const session = new Session(command)
      const found = await session.read((ledger) => ledger.audit.keys())
      session.output.data({ keys: found }, () =>
        session.output.table(['FIRST', 'LAST', 'CHECKPOINTS', 'KEY'], found.map(keyRow)),
      )
    })
}

const keyRow = ({ key, checkpoints, first, last }: AuditKey): string[] => [
  first === undefined ? '' : iso(first),
  last === undefined ? '' : iso(last),
  `${checkpoints}`,
  key,
]

async function generate(keyName: string, file: string): Promise<string> {
  const { newKey } = await import('../audit-tools.js')
  const { secret, key } = newKey(keyName)
  try {
    const handle = openSync(file, 'wx', 0o600)
    writeSync(handle, `${secret}\n`)
    closeSync(handle)
  } catch (cause) {
    throw new CliError('USAGE', `Cannot write --to ${file}: ${(cause as Error).message}`, { cause })
  }
  return key
}

interface CheckpointFlags {
  readonly key?: string
  readonly origin?: string
}

function addCheckpoint(audit: Command): void {
  audit
    .command('checkpoint')
    .summary('sign what is in the log now')
    .description(
      'Makes a checkpoint over all that is in the log, records it, and prints it as a signed note. Keep that where the operator of the ledger cannot change it: that is what everything is proven against. A ledger opened with a key makes one every 10 minutes by itself.',
    )
    .option('--key <file>', 'the private key (default: $JOBLEDGER_AUDIT_KEY, the key itself or a file with it)')
    .option('--origin <text>', 'whose log it is (default: the name of the key)')
    .addHelpText('after', '\nExamples:\n  $ jobledger audit checkpoint --key jobs.key > monday.note')
    .action(async ({ key: file, origin }: CheckpointFlags, command: Command) => {
      const session = new Session(command)
      const key = file === undefined ? keyOfEnvironment() : textOf('--key', file)
      const url = session.url()
      requireLedger(url)
      const settings = { key, every: false as const, ...(origin !== undefined && { origin }) }
      const made = await withLedger({ url, logger: session.log, ...session.storage, audit: settings }, (ledger) =>
        untilStopped('no checkpoint was made', (signal) => ledger.audit.checkpoint({ signal })),
      )
      session.output.data(made, () => made.note.trimEnd())
      session.output.talk(
        made.isNew ? `Signed: ${plural(made.size, 'event')}.` : 'Nothing is new since this one was signed.',
      )
    })
}

function keyOfEnvironment(): string {
  const given = process.env.JOBLEDGER_AUDIT_KEY
  if (!given) throw new CliError('USAGE', 'Give the private key: --key <file>, or JOBLEDGER_AUDIT_KEY.')
  return given.startsWith('PRIVATE+KEY') ? given : textOf('JOBLEDGER_AUDIT_KEY', given)
}

interface ProveFlags {
  readonly event?: string
  readonly since?: string
  readonly to?: string
}

function addProve(audit: Command): void {
  audit
    .command('prove')
    .summary('prove a job to somebody')
    .description(
      'Prints a file that proves, to whoever holds a checkpoint and without this ledger, what is on record of a job: its events as they are stored, and their places in the tree of the last checkpoint. Format: docs/audit-format.md.',
    )
    .argument('[job]', 'job id')
    .option('--event <stream@revision>', 'one event, of any stream, in place of a job')
    .option('--since <file>', 'also prove that the log has only grown since this signed note')
    .option('--to <file>', 'where the proof goes (default: stdout)')
    .addHelpText('after', PROVE_HELP)
    .action(async (job: string | undefined, { event, since, to }: ProveFlags, command: Command) => {
      const session = new Session(command)
      if ((job === undefined) === (event === undefined)) throw new CliError('USAGE', 'Give a job id or --event.')
      const target = job !== undefined ? { job } : { event: toPlace(event ?? '') }
      const options = since === undefined ? {} : { since: textOf('--since', since) }
      const proof = await session.read((ledger) => ledger.audit.prove(target, options))
      if (to === undefined) process.stdout.write(proof)
      else writeText(to, proof)
      const { later = 0 } = readManifest(proof.slice(0, proof.indexOf('\n')))
      if (to !== undefined) session.output.data({ file: to, later }, () => '')
      if (later > 0) session.output.talk(`${plural(later, 'event')} came after the last checkpoint: not in the proof.`)
    })
}

const PROVE_HELP = `
What came after the last checkpoint is left out, and how much that is goes to
stderr. If it is all there is (exit 4), make another checkpoint.

Examples:
  $ jobledger audit prove order-17 > order-17.proof
  $ jobledger audit prove order-17 --since monday.note --to order-17.proof
  $ jobledger audit prove --event audit@12 > removal.proof`

function toPlace(text: string): { stream: string; revision: number } {
  const [, stream = '', revision = ''] = /^(.+)@(\d+)$/s.exec(text) ?? []
  if (stream !== '') return { stream, revision: Number(revision) }
  throw new InvalidOption('--event', '<stream>@<revision>, as job-order-17@0', text)
}

function writeText(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' })
  } catch (cause) {
    throw new CliError('USAGE', `Cannot write --to ${file}: ${(cause as Error).message}`, { cause })
  }
}
