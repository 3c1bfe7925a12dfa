/**
 * Moves a log from one store to another: every event at its revision and in its order, with id, time, facts, metadata and body.
 * What is there already is compared and not written again, so that whoever was interrupted begins anew. See ADR 0024.
 */
import type { Position, RecordedEvent } from '../../domain/event.js'
import type { Clock } from '../ports/clock.js'
import type { Digest } from '../ports/digest.js'
import type { EventStore } from '../ports/event-store.js'
import { CopyTargetDiffers, CopyUnverified } from './errors.js'
import { pagesOf } from './pages.js'
import { burnNames, type Gone } from './removed.js'
import type { CopySource } from './source.js'
import { type Counts, Tally } from './tally.js'
import { Writer } from './writer.js'

/** `share` is how much of the phase is done, from 0 to 1; undefined where that cannot be told. */
export interface CopyProgress {
  readonly phase: 'comparing' | 'copying' | 'removing' | 'verifying'
  /** Of the log, up to here. */
  readonly events: number
  readonly share: number | undefined
}

export interface CopyOptions {
  readonly from: CopySource
  /** Empty, or the beginning of `from`. */
  readonly to: EventStore
  readonly clock: Clock
  readonly digest: Digest
  readonly signal: AbortSignal
  readonly onProgress?: (progress: CopyProgress) => void
}

export interface Copied extends Counts {
  /** Events that this call has written; the others had been there. */
  readonly written: number
  /** Names of removed jobs, which nobody can take in the target either. */
  readonly burnt: number
  /** Events that came to the source meanwhile, which are not in the target: somebody uses it. */
  readonly grew: number
}

/** Throws CopyTargetDiffers, CopyImpossible, CopyUnverified, and what the stores throw. */
export async function copyLog(options: CopyOptions): Promise<Copied> {
  const { from, to } = options
  if (from.logId === to.logId) {
    throw new CopyTargetDiffers(`Expected two logs, got one twice, or a backup of it (log id ${from.logId}).`)
  }
  const until = await from.head()
  return new Copying(options, until, await from.gone(until)).run()
}

class Copying {
  readonly #options: CopyOptions
  readonly #until: Position
  readonly #gone: Gone
  readonly #source: Tally

  constructor(options: CopyOptions, until: Position, gone: Gone) {
    this.#options = options
    this.#until = until
    this.#gone = gone
    this.#source = new Tally(options.digest)
  }

  async run(): Promise<Copied> {
    const { from, to, clock, digest, signal } = this.#options
    const source = this.#source
    const after = await this.#compare()
    const found = source.events
    const writer = new Writer(to, clock, signal)
    for await (const page of this.#pages(from.pages({ after, until: this.#until }))) {
      await writer.write(page)
      for (const event of page) source.add(event)
      this.#tell('copying', source.events, shareOf(page, this.#until))
    }
    this.#tell('removing', source.events)
    await burnNames(to, this.#gone, writer, digest)
    await this.#verify()
    const written = source.events - found
    return { ...source.counts(), written, burnt: this.#gone.size, grew: await from.countAfter(this.#until) }
  }

  /** How far in the source the target has got. */
  async #compare(): Promise<Position> {
    const { from, to, digest } = this.#options
    const source = this.#source
    const target = new Tally(digest)
    const originals = eachOf(this.#pages(from.pages({ until: this.#until })))
    let after = ''
    for await (const page of this.#pages(pagesOf(to, {}))) {
      for (const event of page) {
        const original = (await originals.next()).value ?? undefined
        target.add(event)
        if (original !== undefined) source.add(original)
        if (original === undefined || source.hash !== target.hash) throw differs(event, original)
        after = original.position
      }
      this.#tell('comparing', source.events)
    }
    await originals.return(undefined)
    return after
  }

  /** Reads back what the target has. */
  async #verify(): Promise<void> {
    const { to, digest } = this.#options
    const source = this.#source
    const target = new Tally(digest)
    for await (const page of this.#pages(pagesOf(to, {}))) {
      for (const event of page) target.add(event)
      this.#tell('verifying', target.events, Math.min(1, target.events / Math.max(source.events, 1)))
    }
    if (target.hash === source.hash) return
    throw new CopyUnverified(
      `Expected the target to read back as the source's ${source.events} events (${source.hash}), got ${target.events} (${target.hash}).`,
    )
  }

  /** Without what was removed. A store that answers at once would keep everybody else waiting, signals of the system too. */
  async *#pages(
    pages: AsyncIterable<readonly RecordedEvent[]>,
  ): AsyncGenerator<readonly RecordedEvent[], void, undefined> {
    const { clock, signal } = this.#options
    for await (const page of pages) {
      await new Promise<void>((resolve) => clock.soon(resolve))
      signal.throwIfAborted()
      yield page.filter(({ stream }) => !this.#gone.has(stream))
    }
  }

  #tell(phase: CopyProgress['phase'], events: number, share?: number): void {
    this.#options.onProgress?.({ phase, events, share })
  }
}

async function* eachOf(
  pages: AsyncIterable<readonly RecordedEvent[]>,
): AsyncGenerator<RecordedEvent, undefined, undefined> {
  for await (const page of pages) yield* page
  return undefined
}

function differs(event: RecordedEvent, original: RecordedEvent | undefined): CopyTargetDiffers {
  const name = ({ stream, revision, type }: RecordedEvent): string => `${type} (${stream}, revision ${revision})`
  const expected = original === undefined ? 'its end' : `the source's ${name(original)}`
  return new CopyTargetDiffers(
    `Expected the target to be empty or the beginning of the source, got ${name(event)} where ${expected} should be. What was erased in the source since an earlier copy is still in that one.`,
  )
}

/** Positions are opaque, but those of every store begin with a number that grows with the log. */
function shareOf(page: readonly RecordedEvent[], until: Position): number | undefined {
  const [here, end] = [Number.parseInt(page.at(-1)?.position ?? '', 10), Number.parseInt(until, 10)]
  return here >= 0 && end > 0 ? Math.min(1, here / end) : undefined
}
