import { describe } from 'vitest'
import { openPostgresStorage } from '../../adapters/postgres/storage.js'
import type { Views } from '../../runtime/ports/views.js'
import { viewsSuite } from '../conformance/views.suite.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'

/** Whose `close` lets go of the connections, too. */
async function openAlone(url: string): Promise<Views> {
  const { store, views } = await openPostgresStorage(url)
  const closeViews = views.close.bind(views)
  views.close = async () => {
    await closeViews()
    await store.close()
  }
  return views
}

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'with a server', () => {
  viewsSuite('the PostgreSQL views', async () => {
    const schema = await freshSchema()
    const views = await openAlone(schema.url)
    return {
      views,
      openSecond: () => openAlone(schema.url),
      dispose: async () => {
        await views.close()
        await schema.drop()
      },
    }
  })
})
