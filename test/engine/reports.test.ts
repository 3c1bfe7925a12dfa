import { describe } from 'vitest'
import { missingPostgres } from '../support/postgres.js'
import { reportsSuite } from './reports.suite.js'
import { postgres, sqlite } from './support.js'

reportsSuite(sqlite)

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'with a server', () => reportsSuite(postgres))
