/** The front door of `jobledger/conformance`: re-exports only. For those who write a store; runs under vitest. */
export type { OwnTable, StoreFactory, StoreUnderTest } from './event-store.suite.js'
export { eventStoreSuite } from './event-store.suite.js'
export type { ViewsFactory, ViewsUnderTest } from './views.suite.js'
export { viewsSuite } from './views.suite.js'
