/**
 * The definition of the event store port. Every adapter runs it; its own test file is a few lines:
 *
 *     eventStoreSuite('my store', async () => ({ store: await open(), dispose: async () => { ... } }))
 *
 * What a store cannot do by its capabilities is skipped with the reason.
 */
import { describe } from 'vitest'
import { appendTests } from './event-store/append.js'
import { effectsTests } from './event-store/effects.js'
import { fenceTests } from './event-store/fences.js'
import type { StoreFactory } from './event-store/harness.js'
import { lifeTests } from './event-store/life.js'
import { mixtureTests } from './event-store/mixture.js'
import { readTests } from './event-store/reads.js'
import { repetitionTests } from './event-store/repetition.js'
import { roundTripTests } from './event-store/round-trip.js'
import { sizeTests } from './event-store/sizes.js'
import { subscriptionTests } from './event-store/subscriptions.js'
import { takeOutTests } from './event-store/take-out.js'
import { timeTests } from './event-store/time.js'
import { transactionTests } from './event-store/transactions.js'
import { upkeepTests } from './event-store/upkeep.js'

export type { OwnTable, StoreFactory, StoreUnderTest } from './event-store/harness.js'

export function eventStoreSuite(name: string, factory: StoreFactory): void {
  describe(`${name} as an event store`, () => {
    describe('appending', () => appendTests(factory))
    describe('groups over several streams', () => fenceTests(factory))
    describe('repeating an append', () => repetitionTests(factory))
    describe('what is written', () => roundTripTests(factory))
    describe('reading', () => readTests(factory))
    describe('time and position', () => timeTests(factory))
    describe('subscribing', () => subscriptionTests(factory))
    describe("the caller's own writes in a group", () => effectsTests(factory))
    describe("the caller's own transaction", () => transactionTests(factory))
    describe('erasing, removing, truncating', () => upkeepTests(factory))
    describe('erasing and removing in a group', () => takeOutTests(factory))
    describe('groups of all kinds in one call', () => mixtureTests(factory))
    describe('sizes', () => sizeTests(factory))
    describe('closing', () => lifeTests(factory))
  })
}
