import { engineSuite } from './engine.suite.js'
import { memory, sqlite } from './support.js'

for (const backend of [memory, sqlite]) engineSuite(backend)
