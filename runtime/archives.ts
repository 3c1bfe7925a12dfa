/** What a ledger offers on its archive: moving there what is old. What lies there is read as if it were in the log. */
import type { ArchiveReport, ArchiveRun } from './archive/archiver.js'
import { Archiver } from './archive/archiver.js'
import type { Engine } from './engine.js'
import type { Speaker } from './write/speaker.js'

export class Archives {
  readonly #engine: () => Engine
  readonly #speaker: () => Speaker

  constructor(engine: () => Engine, speaker: () => Speaker) {
    this.#engine = engine
    this.#speaker = speaker
  }

  /**
   * Moves ended jobs, and what is old of triggers, workers and the audit stream, into sealed files in the folder
   * `openLedger.archive`. May be interrupted at any moment and run again. Throws InvalidOption, StoreUnavailable, LedgerClosed,
   * or the signal's reason; what was archived until then stays archived.
   */
  async run(options: ArchiveRun): Promise<ArchiveReport> {
    const engine = this.#engine()
    const { ports, feed, journal, removal, queries, archive } = engine
    const { store, views, clock, ids, archive: folder } = ports
    const { catalogue } = archive
    const archiver = new Archiver({
      ...{ store, views, feed, journal, removal, clock, ids, folder, catalogue, keeper: engine.keeper },
      removed: (ids) => queries.removed(ids),
      sync: () => queries.saved(),
    })
    return archiver.run(options, this.#speaker().metadata)
  }
}
