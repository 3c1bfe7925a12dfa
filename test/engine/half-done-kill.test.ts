/**
 * On EventStoreDB a command over several streams is several appends. Real processes, killed between two of them: the fake server
 * stores the first and kills who sent it before it answers. Another process finds what was left, and brings it to its end.
 */
import { join } from 'node:path'
import { filter, firstValueFrom } from 'rxjs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { freshLog } from '../support/eventstore/logs.js'
import { FakeEventStore } from '../support/eventstore/server.js'
import { Arena } from './rivals.js'
import { next, rejection, typesOf } from './support.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 120_000 }

const DEEDS = `
  const note = defineJob({ type: 'note', handle: () => 'done' })
  const placed = defineJob({ type: 'placed', concurrencyKey: 'k', handle: () => 'done' })
  const jobs = [note, placed]
  const batch = ['a', 'b', 'c'].map((id) => ({ job: note, payload: id, options: { id } }))
  const deeds = {
    batch: () => ledger.enqueueMany(batch),
    claim: () => ledger.enqueue(note, 1, { id: 'a', unique: { key: 'k' } }),
    start: () => ledger.start(),
    remove: () => ledger.remove('a'),
  }
`
const note = defineJob<unknown, unknown>({ type: 'note', handle: () => 'done' })
const placed = defineJob<unknown, unknown>({ type: 'placed', concurrencyKey: 'k', handle: () => 'done' })

type Given = Parameters<FakeEventStore['log']['append']>

let fake: FakeEventStore
/** Who is told of every append that is stored, before its answer goes out. */
const watchers = new Set<(...given: Given) => void>()
beforeAll(async () => {
  fake = await FakeEventStore.start()
  const { log } = fake
  const append = log.append.bind(log)
  log.append = (...given) => {
    const appended = append(...given)
    if (appended.kind === 'ok') for (const watch of watchers) watch(...given)
    return appended
  }
})
afterAll(() => fake.stop())

interface Scene {
  readonly survivor: Ledger
  /** Asks a process for a deed, and kills it when an event of this type, with this fact, is stored. */
  readonly die: (deed: string, type: string, fact?: string) => Promise<void>
}

async function play(scene: (scene: Scene) => Promise<void>): Promise<void> {
  const log = freshLog(fake.url())
  const prefix = `${/prefix=(\w+)/.exec(log)?.[1]}.`
  await using arena = await Arena.create(DEEDS, log)
  const url = `${log}&views=${join(arena.folder, 'survivor.db')}`
  await using survivor = await openLedger({ url, jobs: [note, placed] })
  const die = async (deed: string, type: string, fact = ''): Promise<void> => {
    const rival = await arena.rival()
    watchers.add((stream, _expected, events) => {
      const isIt = events.some((event) => event.type === type && Buffer.from(event.data).includes(fact))
      if (stream.startsWith(prefix) && isIt) void rival.kill()
    })
    rival.ask(deed).catch(() => {})
    await rival.gone
  }
  await scene({ survivor, die })
}

describe.concurrent('a process that is killed between two appends', () => {
  it('leaves a batch of which nothing is there: all of it is made, once', GUARD, () =>
    play(async ({ survivor, die }) => {
      const made = Promise.all(['a', 'b', 'c'].map((id) => next(survivor, id, 'Queued')))
      await die('batch', 'BatchSubmitted')
      await made
      for (const id of ['a', 'b', 'c']) expect(await typesOf(survivor, id)).toEqual(['Queued'])
    }),
  )

  it('leaves a claim without its job: who comes for the key is told of that job', GUARD, () =>
    play(async ({ survivor, die }) => {
      await die('claim', 'Claimed')
      const second = await survivor.enqueue(note, 2, { id: 'b', unique: { key: 'k' } })
      expect(second).toMatchObject({ id: 'a', outcome: 'duplicate' })
      expect((await survivor.status('a')).payload).toBe(1)
    }),
  )

  it('leaves the place of a key without a run: the job runs, and no attempt is spent', GUARD, () =>
    play(async ({ survivor, die }) => {
      await survivor.enqueue(placed, null, { id: 'a' })
      await die('start', 'Taken')
      await survivor.start()
      expect(await survivor.result('a')).toBe('done')
      expect(await survivor.attempts('a')).toMatchObject([
        { outcome: 'released' },
        { outcome: 'succeeded', attempt: 1 },
      ])
    }),
  )

  it('leaves a removal half done: the job goes, and its id stays taken', GUARD, () =>
    play(async ({ survivor, die }) => {
      await survivor.start()
      await survivor.enqueue(note, 1, { id: 'a' })
      await survivor.result('a')
      await survivor.stop()
      const removed = firstValueFrom(survivor.events$.pipe(filter(({ type }) => type === 'StreamsRemoved')))
      await die('remove', 'Condemned', '"leaves":true')
      await removed
      expect(await rejection(survivor.status('a'))).toMatchObject({ code: 'JOB_REMOVED' })
      expect(await rejection(survivor.enqueue(note, 1, { id: 'a' }))).toMatchObject({ code: 'STREAM_REMOVED' })
    }),
  )
})
