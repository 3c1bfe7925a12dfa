/**
 * Eight processes write at once, by every way there is, and roll back now and then: who follows the log sees each event once,
 * in order. A few seconds; `JOBLEDGER_TEST_WRITERS_SECONDS=60` makes it a minute. Real time.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openPostgresStore } from '../../adapters/postgres/event-store.js'
import type { RecordedEvent } from '../../domain/event.js'
import { collect, idsOf } from '../conformance/event-store/harness.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'

const SECONDS = Number(process.env.JOBLEDGER_TEST_WRITERS_SECONDS ?? 4)
const WRITERS = 8
/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: SECONDS * 1000 + 300_000 }
const STORE = fileURLToPath(new URL('../../dist/adapters/postgres/event-store.js', import.meta.url))
const PG = import.meta.resolve('pg')

/** Says in the end what it has committed: the ids of every group that was answered `ok`, of those only that were not rolled back. */
const WRITER = `
  import { setTimeout as sleep } from 'node:timers/promises'
  const [, , store, driver, url, number, seconds] = process.argv
  const n = Number(number)
  const { openPostgresStore } = await import(store)
  const { default: pg } = await import(driver)
  const log = await openPostgresStore(url, { durability: 'normal' })
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const committed = []
  let made = 0
  const group = (size) => {
    made += 1
    const stream = 'writer-' + n + '-' + made
    const event = () => ({ stream, id: crypto.randomUUID(), type: 'Noted', at: Date.now(), data: { n } })
    return { expect: new Map([[stream, 'none']]), events: Array.from({ length: size }, event) }
  }
  const keep = (groups, outcomes) => {
    for (const [index, { kind, error }] of outcomes.entries()) {
      if (kind !== 'ok') throw error ?? new Error(kind)
      committed.push(...groups[index].events.map(({ id }) => id))
    }
  }
  const ways = [
    async () => {
      const groups = Array.from({ length: 1 + made % 5 }, () => group(1 + made % 7))
      keep(groups, await log.append(groups))
    },
    async () => {
      const groups = [{ ...group(3), effects: () => sleep(made % 3) }, group(1)]
      keep(groups, await log.append(groups))
    },
    async () => {
      await client.query('BEGIN')
      const groups = [group(2)]
      const outcomes = await log.within(client).append(groups)
      await sleep(made % 4)
      await client.query(made % 3 === 0 ? 'ROLLBACK' : 'COMMIT')
      if (made % 3 !== 0) keep(groups, outcomes)
    },
  ]
  process.send('ready')
  await new Promise((resolve) => process.once('message', resolve))
  for (const until = Date.now() + 1000 * Number(seconds); Date.now() < until; ) await ways[n < 6 ? 0 : n - 5]()
  await client.end()
  await log.close()
  process.send({ committed }, () => process.disconnect())
`

async function startWriter(program: string, url: string, n: number) {
  const args = [STORE, PG, url, String(n), String(SECONDS)]
  const child = fork(program, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await once(child, 'message')
  return {
    async write(): Promise<string[]> {
      child.send('go')
      const [{ committed }] = (await once(child, 'message')) as [{ committed: string[] }]
      return committed
    },
  }
}

const missing = missingPostgres()
// skipped: where there is no server, with the reason as title
describe.skipIf(missing !== undefined)(missing ?? `${WRITERS} processes that write at once for ${SECONDS} s`, () => {
  it('hide nothing from who follows the log, and show nothing twice', GUARD, async () => {
    const schema = await freshSchema()
    const folder = await mkdtemp(join(tmpdir(), 'jobledger-writers-'))
    const program = join(folder, 'writer.mjs')
    await writeFile(program, WRITER)
    const store = await openPostgresStore(schema.url)
    const writers = await Promise.all(Array.from({ length: WRITERS }, (_, n) => startWriter(program, schema.url, n)))
    const over = new AbortController()
    const seen: RecordedEvent[] = []
    const following = (async () => {
      for await (const batch of store.subscribe({ signal: over.signal })) {
        if (batch.kind === 'events') seen.push(...batch.events)
      }
    })()
    const committed = (await Promise.all(writers.map((writer) => writer.write()))).flat()
    await expect.poll(() => seen.length, { timeout: 60_000 }).toBeGreaterThanOrEqual(committed.length)
    // What comes too much would come now: the end of the log is told once more.
    await store.append([
      { expect: new Map([['end', 'none']]), events: [{ stream: 'end', id: 'end', type: 'End', at: 0, data: {} }] },
    ])
    await expect.poll(() => seen.at(-1)?.id, { timeout: 60_000 }).toBe('end')
    over.abort()
    await following
    expect(idsOf(seen).toSorted()).toEqual([...committed, 'end'].toSorted())
    const positions = seen.map(({ position }) => position)
    expect(positions).toEqual(positions.toSorted())
    expect(idsOf(seen)).toEqual(idsOf(await collect(store.readAll())))
    console.log(`${WRITERS} writers, ${SECONDS} s: ${committed.length} events followed, each once, in order`)
    await store.close()
    await rm(folder, { recursive: true, force: true })
    await schema.drop()
  })
})
