import { engineSuite } from './engine.suite.js'
import { memory, oneStreamAtATime, sqlite } from './support.js'

for (const backend of [memory, oneStreamAtATime, sqlite]) engineSuite(backend)
