/**
 * The definition of the views port. Every adapter that keeps views runs it; its own test file is a few lines:
 *
 *     viewsSuite('my views', async () => ({ views: await open(), dispose: async () => { ... } }))
 */
import { describe } from 'vitest'
import { archivedTests } from './views/archived.js'
import { dependentTests } from './views/dependents.js'
import { endedTests } from './views/ended.js'
import type { ViewsFactory } from './views/harness.js'
import { keptTests } from './views/kept.js'
import { readTests } from './views/reading.js'
import { removalTests } from './views/removal.js'
import { saveTests } from './views/saving.js'
import { sinceTests } from './views/since.js'

export type { ViewsFactory, ViewsUnderTest } from './views/harness.js'

export function viewsSuite(name: string, factory: ViewsFactory): void {
  describe(`${name} as views`, () => {
    describe('saving', () => saveTests(factory))
    describe('since', () => sinceTests(factory))
    describe('reading', () => readTests(factory))
    describe('jobs that have ended', () => endedTests(factory))
    describe('dependents', () => dependentTests(factory))
    describe('removing', () => removalTests(factory))
    describe('jobs that were archived', () => archivedTests(factory))
    describe('checkpoints of the past', () => keptTests(factory))
  })
}
