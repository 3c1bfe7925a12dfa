/** Waiting for the workers to act on what is in the log. */
import { NEVER, Subject } from 'rxjs'
import { expect, test } from 'vitest'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { Feed } from '../../runtime/read/feed.js'
import { settled } from '../../runtime/work/settling.js'
import { rejection } from '../engine/support.js'

/** One worker in a process that never answers. */
const mute = { id: 'mute', process: { pid: 1 } }
const feedOf = (pages$: unknown): Feed => ({ pages$, workers: { live: () => [mute] } }) as unknown as Feed
const what = { position: '5', concerns: () => true }

test('nothing is waited for in a ledger that is closed, and no timer is left', async () => {
  const clock = new VirtualClock()
  const pages = new Subject()
  pages.complete()
  const waiting = settled({ feed: feedOf(pages), clock }, what)
  expect(await rejection(waiting)).toMatchObject({ code: 'LEDGER_CLOSED' })
  expect(clock.step(Number.POSITIVE_INFINITY)).toBe(false)
})

test('an abort ends the wait and its timer', async () => {
  const clock = new VirtualClock()
  const aborting = new AbortController()
  const waiting = settled({ feed: feedOf(NEVER), clock }, { ...what, signal: aborting.signal })
  expect(clock.step(clock.now() + 1_000)).toBe(true)
  aborting.abort(new Error('enough'))
  expect(await rejection(waiting)).toMatchObject({ message: 'enough' })
  expect(clock.step(Number.POSITIVE_INFINITY)).toBe(false)
})
