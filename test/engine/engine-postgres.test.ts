import { describe } from 'vitest'
import { missingPostgres } from '../support/postgres.js'
import { engineSuite } from './engine.suite.js'
import { postgres } from './support.js'

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? 'with a server', () => engineSuite(postgres))
