import type { RecordedEvent } from '../../domain/event.js'
import { JOB_BOARD_VERSION } from '../../projections/job-board.js'
import type { LedgerState } from '../../projections/ledger-state.js'
import type { Logger } from '../ports/logger.js'
import type { KeptCheckpoint, KeptCheckpoints } from '../ports/views.js'

/** Events from one to the next: folding that many takes a reader of the past well under a second. */
const SPACING = 50_000
/** With more than this something in between is let go. */
const MOST = 64
const MOST_BYTES = 256 * 2 ** 20

/**
 * Keeps a whole state every so many events, so that a reader of the past need not fold from the beginning. Nobody waits for
 * it: what is kept is captured in one go, and written bit by bit.
 */
export class CheckpointKeeper {
  readonly #past: KeptCheckpoints | undefined
  readonly #logId: string
  readonly #log: Logger
  readonly #spacing: number
  /** Events folded where the newest one was kept. */
  #newest = 0
  #keeping: Promise<void> | undefined

  constructor(options: {
    readonly past: KeptCheckpoints | undefined
    readonly logId: string
    readonly logger: Logger
    readonly spacing?: number
  }) {
    this.#past = options.past
    this.#logId = options.logId
    this.#log = options.logger
    this.#spacing = options.spacing ?? SPACING
  }

  async load(): Promise<void> {
    const kept = (await this.#past?.list()) ?? []
    this.#newest = kept.at(-1)?.events ?? 0
  }

  /** They may be of another log. */
  async dropAll(): Promise<void> {
    const kept = (await this.#past?.list()) ?? []
    if (kept.length > 0) await this.#past?.drop(kept.map(({ checkpoint }) => checkpoint.position))
  }

  /** The state after `last`. A long backlog is kept less often: each time all of it is written. */
  offer(state: LedgerState, last: RecordedEvent): void {
    if (this.#past === undefined || this.#keeping !== undefined) return
    if (state.folded - this.#newest < Math.max(this.#spacing, 2 * state.board.size)) return
    const { position, stream, revision, id, at } = last
    const checkpoint = { logId: this.#logId, position, stream, revision, eventId: id, version: JOB_BOARD_VERSION }
    this.#newest = state.folded
    this.#keeping = this.#keep(this.#past, { checkpoint, at, events: state.folded }, state.capture())
      .catch((error) => this.#log.warn({ err: error }, 'checkpoint of the past not kept'))
      .finally(() => {
        this.#keeping = undefined
      })
  }

  /** Once nothing is being written. */
  async idle(): Promise<void> {
    await this.#keeping
  }

  async #keep(
    past: KeptCheckpoints,
    kept: Omit<KeptCheckpoint, 'bytes'>,
    content: Parameters<KeptCheckpoints['keep']>[1],
  ): Promise<void> {
    const before = await past.list()
    // Each process on the log would keep the same.
    if (before.some(({ events }) => Math.abs(events - kept.events) < this.#spacing / 2)) return
    await past.keep(kept, content)
    const surplus = surplusOf(await past.list())
    if (surplus.length > 0) await past.drop(surplus)
  }
}

/** Positions of those to let go: each time the one without which the gap between its neighbours is least. The newest stays. */
function surplusOf(all: readonly KeptCheckpoint[]): string[] {
  const kept = [...all]
  const surplus: string[] = []
  let bytes = kept.reduce((sum, each) => sum + each.bytes, 0)
  while (kept.length > 1 && (kept.length > MOST || bytes > MOST_BYTES)) {
    const gaps = kept.slice(0, -1).map((_, index) => gapWithout(kept, index))
    const [dropped] = kept.splice(gaps.indexOf(Math.min(...gaps)), 1)
    if (dropped === undefined) break
    bytes -= dropped.bytes
    surplus.push(dropped.checkpoint.position)
  }
  return surplus
}

const gapWithout = (kept: readonly KeptCheckpoint[], index: number): number =>
  (kept[index + 1]?.events ?? 0) - (kept[index - 1]?.events ?? 0)
