/** copy: a ledger moves from one store to another. */
import type { Command } from 'commander'
import { formatMs } from '../../domain/duration.js'
import type { Copied, CopyProgress } from '../../runtime/copy/copy.js'
import { CliError, EXIT } from './exit-codes.js'
import { plural } from './output.js'
import { requireLedger, Session, shown, toUrl } from './session.js'
import { untilStopped } from './wait.js'

interface CopyFlags {
  readonly from: string
  readonly to: string
}

/** How often the line of a terminal changes, in ms. */
const BEAT = 200

export function addCopy(program: Command): void {
  program
    .command('copy')
    .summary('copy a ledger into another store')
    .description(
      'Copies every event from one ledger to another: in order, with its id, revision, time, facts, metadata and body; hashes of erased bodies and the ids of removed jobs come along. The target must be empty, or what an interrupted copy has left of it: then it goes on there. At the end the target is read again and compared.',
    )
    .requiredOption('--from <url>', 'the ledger to copy; nobody may use it meanwhile')
    .requiredOption('--to <url>', 'where to; made if it is not there')
    .addHelpText('after', COPY_HELP)
    .action(async ({ from, to }: CopyFlags, command: Command) => {
      const session = new Session(command)
      const urls = { from: toUrl(from), to: toUrl(to) }
      if (urls.from === urls.to)
        throw new CliError('USAGE', 'Expected --from and --to to be two ledgers, got one twice.')
      requireLedger(urls.from)
      const copied = await copy(session, { ...urls, ...session.storage })
      const names = { from: shown(urls.from), to: shown(urls.to) }
      session.output.data({ ...names, ...copied }, () => session.output.facts(inWords(copied)))
      if (copied.grew > 0) tellGrown(session, copied)
    })
}

const COPY_HELP = `
What is copied is the log. Views are built when the new ledger is opened first.
Stop every process that uses the old one. Should it grow meanwhile, copy says
so and exits with 4: run it again, it brings what is new.

Exit codes:
  0  copied and verified
  4  the target holds something else, or the source has grown meanwhile
  5  the source cannot be copied whole, or the target does not read back alike

Examples:
  $ jobledger copy --from sqlite:./jobs.db --to postgres://app@db.internal/app
  $ jobledger copy --from postgres://app@db.internal/app --to ./archive.db --json`

async function copy({ output, log }: Session, urls: { from: string; to: string; archive?: string }): Promise<Copied> {
  const { copyLedger } = await import('../copy-ledger.js')
  const pace = new Pace()
  try {
    return await untilStopped('run the same copy again, it goes on where it is', (signal) =>
      copyLedger({
        ...urls,
        logger: log,
        signal,
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

/** How fast a phase goes, and how long it will. */
export class Pace {
  #phase = ''
  #begun = { at: 0, events: 0, share: 0 }
  #toldAt = Number.NEGATIVE_INFINITY

  /** Undefined: too soon after the last one. */
  line({ phase, events, share }: CopyProgress): string | undefined {
    const now = performance.now()
    if (phase !== this.#phase) {
      this.#phase = phase
      this.#begun = { at: now, events, share: share ?? 0 }
    } else if (now - this.#toldAt < BEAT) return undefined
    this.#toldAt = now
    const ms = now - this.#begun.at
    const rate = ms > 0 ? Math.round(((events - this.#begun.events) * 1_000) / ms) : 0
    const done = share === undefined ? '' : `, ${Math.floor(share * 100)} %${this.#rest(ms, share)}`
    return `${phase}: ${plural(events, 'event')}, ${rate} a second${done}`
  }

  #rest(ms: number, share: number): string {
    const gained = share - this.#begun.share
    return gained > 0 && share < 1 ? `, ${formatMs(Math.ceil((ms * (1 - share)) / gained / 1_000) * 1_000)} left` : ''
  }
}

export function inWords(copied: Copied): Record<string, string | undefined> {
  const { events, written, streams, bodies, erased, burnt, kinds, hash } = copied
  const there = events - written
  return {
    copied: `${plural(written, 'event')}${there > 0 ? `, on top of ${there} that were there` : ''}`,
    verified: `${plural(events, 'event')} in ${plural(streams, 'stream')} read back alike`,
    streams: Object.entries(kinds)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', '),
    bodies: `${bodies - erased}${erased > 0 ? `, and the hashes of ${erased} that were erased` : ''}`,
    removed: burnt > 0 ? `${plural(burnt, 'id')} of removed jobs cannot be used again` : undefined,
    hash,
  }
}

function tellGrown({ output }: Session, { grew }: Copied): void {
  output.complain(
    `The source has grown by ${plural(grew, 'event')} meanwhile: stop whoever uses it and run the same copy again.`,
  )
  process.exitCode = EXIT.conflict
}
