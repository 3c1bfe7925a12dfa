/** A ledger in a database, as an operator sees it. */
import { StoreRefused, StoreUnusable } from '../../runtime/ports/event-store.js'
import type { Backup, Finding, Maintenance, Migration } from '../../runtime/ports/maintenance.js'
import { examineDatabase } from './examination.js'
import { type Log, openLog } from './open.js'
import { openPostgresReadModels } from './read-models.js'
import { quoted, SCHEMA_VERSION } from './schema.js'
import { openPostgresViews } from './views.js'
import { VIEWS_VERSION } from './views-schema.js'
import { placeOf, schemaOf } from './where.js'

export class PostgresMaintenance implements Maintenance {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  /** Opening makes what is missing, under a lock: one of many does it. */
  migrate(): Promise<Migration> {
    return this.#with(async (log) => {
      await (await openPostgresViews(log)).close()
      await makeReadModels(log)
      return { made: log.made, version: SCHEMA_VERSION, viewsVersion: VIEWS_VERSION }
    })
  }

  async backup(): Promise<Backup> {
    const schema = schemaOf(this.#url, undefined)
    const name = quoted(schema).replaceAll("'", "'\\''")
    throw new StoreRefused(
      `${placeOf(this.#url)}: a database is backed up by its own tool: pg_dump --format=custom --schema='${name}' --exclude-table-data='${name}.view_*' --file=jobledger.dump. A copy in a file that needs no server: jobledger copy.`,
    )
  }

  examine({ quick }: { readonly quick: boolean }): Promise<Finding[]> {
    return this.#with((log) => examineDatabase(log, quick))
  }

  async #with<Result>(work: (log: Log) => Promise<Result>): Promise<Result> {
    const log = await openLog(this.#url)
    try {
      return await work(log)
    } finally {
      await log.connections.close()
    }
  }
}

/** Who uses them may not be allowed to make them. Where others have tables of these names, who asks for them is told so. */
async function makeReadModels(log: Log): Promise<void> {
  try {
    await (await openPostgresReadModels(log)).close()
  } catch (error) {
    if (!(error instanceof StoreUnusable)) throw error
  }
}
