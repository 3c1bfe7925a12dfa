import { describe } from 'vitest'
import { openPostgresStorage } from '../../adapters/postgres/storage.js'
import type { ReadModels } from '../../runtime/ports/read-models.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import { readModelsSuite } from './read-models.suite.js'

/** Whose `close` lets go of the connections, too. */
async function openAlone(url: string): Promise<ReadModels> {
  const { store, views, readModels } = await openPostgresStorage(url)
  const models: ReadModels = await readModels()
  const close = models.close.bind(models)
  models.close = async () => {
    await close()
    await views.close()
    await store.close()
  }
  return models
}

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'with a server', () => {
  readModelsSuite('PostgreSQL tables', async () => {
    const schema = await freshSchema()
    const models = await openAlone(schema.url)
    return {
      models,
      openSecond: () => openAlone(schema.url),
      dispose: async () => {
        await models.close()
        await schema.drop()
      },
    }
  })
})
