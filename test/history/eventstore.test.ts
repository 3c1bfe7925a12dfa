/** The past, the tables and what is told of them, of a log on EventStoreDB that goes on showing what left it, and when it no longer does. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { temporaryFolder } from '../adapters/temporary-folder.js'
import { freshLog, realServer, removeLog } from '../support/eventstore/logs.js'
import { FakeEventStore } from '../support/eventstore/server.js'

const note = defineJob<string, string>({
  type: 'note',
  search: ['text'],
  maxAttempts: 1,
  handle: (text) => {
    if (text === 'bad') throw new Error('the pen burns')
    return text
  },
})

async function collected<One>(pages: AsyncIterable<One>): Promise<One[]> {
  const all: One[] = []
  for await (const one of pages) all.push(one)
  return all
}

interface Moments {
  readonly first: RecordedEvent
  readonly second: RecordedEvent
}

async function answers(ledger: Ledger, { first, second }: Moments): Promise<unknown> {
  const { pending, failed, running } = await ledger.reports.kpis()
  const rows = 'SELECT id, state, archived IS NOT NULL AS away FROM jobs ORDER BY id'
  return {
    early: [await ledger.asOf(first).job('a'), await ledger.asOf(first).pending()],
    late: [await ledger.asOf(second).job('bad'), await ledger.asOf(second).queues()],
    replayed: (await collected(ledger.replay({ filter: { types: ['Queued', 'Finished'] } })))
      // Who reads the whole log sees what was removed until the server has tidied up.
      .filter(({ stream }) => stream !== 'job-gone')
      .map(({ id }) => id),
    differ: await collected(ledger.diff({ retry: { note: { maxAttempts: 2 } } })),
    rows: await ledger.query(rows),
    attempts: await ledger.query('SELECT job_id, outcome, error_message FROM attempts ORDER BY job_id'),
    found: (await ledger.search({ error: 'burns' })).jobs,
    newest: await ledger.newest(),
    failures: (await ledger.reports.retries()).map(({ error, runs }) => [error, runs]),
    ...{ pending, failed, running },
    deeds: (await ledger.deeds()).deeds.map(({ type }) => type),
    told: await ledger.explain('bad'),
  }
}

const differing = async (ledger: Ledger): Promise<string[]> =>
  (await ledger.rebuild({ tables: true })).filter(({ identical }) => !identical).map(({ name }) => name)

test('a log that is archived, tidied up, and read by somebody new says the same of its past', async () => {
  await using folder = await disposable()
  const fake = realServer === undefined ? await FakeEventStore.start() : undefined
  const url = freshLog(realServer ?? fake?.url() ?? '')
  const open = (views: string): Promise<Ledger> =>
    openLedger({ url: `${url}&views=${join(folder.path, views)}`, jobs: [note], archive: join(folder.path, 'archive') })
  const ledger = await open('views.db')
  await ledger.start()
  for (const id of ['a', 'bad', 'gone']) {
    await ledger.enqueue(note, id, { id })
    await ledger.result(id).catch(() => {})
  }
  const end = async (job: string): Promise<RecordedEvent> =>
    (await collected(ledger.replay({ filter: { job } }))).at(-1) as RecordedEvent
  const moments = { first: await end('a'), second: await end('bad') }
  await ledger.enqueue(note, 'later', { id: 'later', held: true, dependsOn: ['a'] })
  await ledger.as({ user: 'ann' }).remove('gone')
  await ledger.stop()
  expect(await differing(ledger)).toEqual([])
  expect(await ledger.archive.run({ before: 0 })).toMatchObject({ jobs: 1, kept: 1 })
  const before = await answers(ledger, moments)
  expect(before).toMatchObject({ found: [{ id: 'bad' }], pending: 1, failed: 1, running: 0 })
  expect(await differing(ledger)).toEqual([])
  fake?.log.scavenge()
  expect(await answers(ledger, moments)).toEqual(before)
  expect(await differing(ledger)).toEqual([])
  const other = await open('new.db')
  expect(await answers(other, moments)).toEqual(before)
  await other.close()
  await ledger.close()
  await (fake?.stop() ?? removeLog(url))
})

async function disposable(): Promise<{ readonly path: string } & AsyncDisposable> {
  const { path, remove } = await temporaryFolder()
  return { path, [Symbol.asyncDispose]: remove }
}
