/** A log and its views in one database, on one pool. */
import type { Pool } from './driver.js'
import { PostgresEventStore } from './event-store.js'
import { openLog, type PostgresOptions } from './open.js'
import { openPostgresReadModels, type PostgresReadModels } from './read-models.js'
import { openPostgresViews, type PostgresViews } from './views.js'

/**
 * Opens both, or creates them; see `openPostgresStore`. The views are to be closed first.
 * Rejects with StoreUnusable also where the names of the views' tables are taken.
 */
export async function openPostgresStorage(
  where: string | Pool,
  options: PostgresOptions = {},
): Promise<{
  readonly store: PostgresEventStore
  readonly views: PostgresViews
  /** Opened when first asked for. */
  readonly readModels: () => Promise<PostgresReadModels>
}> {
  const log = await openLog(where, options)
  const store = new PostgresEventStore(log, options)
  try {
    return { store, views: await openPostgresViews(log), readModels: () => openPostgresReadModels(log) }
  } catch (error) {
    await store.close()
    throw error
  }
}
