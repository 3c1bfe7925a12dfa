/** What the engine promises, whatever store is behind it. */
import { describe } from 'vitest'
import { batchesSuite } from './suite/batches.js'
import { cancellingSuite } from './suite/cancelling.js'
import { closingSuite } from './suite/closing.js'
import { dependenciesSuite } from './suite/dependencies.js'
import { leasesSuite } from './suite/leases.js'
import { listingSuite } from './suite/listing.js'
import { optionsSuite } from './suite/options.js'
import { orderSuite } from './suite/order.js'
import { ownIdsSuite } from './suite/own-ids.js'
import { reopeningSuite } from './suite/reopening.js'
import { retriesSuite } from './suite/retries.js'
import { runningSuite } from './suite/running.js'
import type { Backend } from './support.js'

export function engineSuite(backend: Backend): void {
  describe(`the engine on ${backend.name}`, () => {
    runningSuite(backend)
    batchesSuite(backend)
    ownIdsSuite(backend)
    orderSuite(backend)
    retriesSuite(backend)
    cancellingSuite(backend)
    dependenciesSuite(backend)
    leasesSuite(backend)
    closingSuite(backend)
    listingSuite(backend)
    optionsSuite(backend)
    reopeningSuite(backend)
  })
}
