import { describe } from 'vitest'
import { missingPostgres } from '../support/postgres.js'
import { searchSuite } from './search.suite.js'
import { postgres, sqlite } from './support.js'

searchSuite(sqlite)

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'with a server', () => searchSuite(postgres))
