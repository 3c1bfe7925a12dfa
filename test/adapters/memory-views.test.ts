import { MemoryViews } from '../../adapters/memory/views.js'
import { viewsSuite } from '../conformance/views.suite.js'

viewsSuite('the memory views', async () => {
  const views = new MemoryViews()
  return { views, dispose: () => views.close() }
})
