/** A process that is killed in the middle of a handler's own writes: these and the successes agree, always. Real time. */
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Arena } from './rivals.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

/** A job whose id ends in `!` kills its process in the midst of its writes, the first time it gets there. */
const SHOP = `
  let sold = 0
  const sell = defineJob({
    type: 'sell',
    handle(n, ctx) {
      ctx.finishWith((db) => {
        db.prepare('INSERT INTO sales (job, part) VALUES (?, 1)').run(ctx.id)
        const mark = folder + '/died in ' + n
        if (ctx.id.endsWith('!') && !existsSync(mark)) {
          writeFileSync(mark, '')
          process.kill(process.pid, 'SIGKILL')
        }
        db.prepare('INSERT INTO sales (job, part) VALUES (?, 2)').run(ctx.id)
        sold += 1
        if (sold % 20 === 0) say('sold 20 more')
      })
      return n
    },
  })
  const jobs = [sell]
  const deeds = { start: () => ledger.start({ concurrency: 4 }) }
`

const sell = defineJob<number, unknown>({ type: 'sell' })

/** Jobs with rows, in order; every one has both of its parts. */
function sales({ path }: Arena): unknown[] {
  const db = new Database(path, { readonly: true })
  try {
    const rows = db.prepare('SELECT job, count(*), sum(part) FROM sales GROUP BY job').raw(true).all() as [
      string,
      number,
      number,
    ][]
    expect(rows.filter(([, count, parts]) => count !== 2 || parts !== 3)).toEqual([])
    return rows.map(([job]) => job).sort()
  } finally {
    db.close()
  }
}

/** Jobs whose success is recorded, in order. */
function successes({ path }: Arena): unknown[] {
  const db = new Database(path, { readonly: true })
  const sql = `
    SELECT substr(first.name, 5) AS job FROM jobledger_events e JOIN jobledger_events first ON first.position = e.stream
    WHERE e.type = 'Finished' AND json_extract(e.data, '$.outcome') = 'succeeded' ORDER BY job`
  try {
    return db.prepare(sql).pluck().all()
  } finally {
    db.close()
  }
}

describe('a process that is killed while its handlers’ writes are made', () => {
  it('leaves rows for exactly those jobs whose success is recorded; the others are run again', GUARD, async () => {
    await using arena = await Arena.create(SHOP)
    await using ledger = await openLedger({ url: arena.url, durability: 'normal' })
    const db = new Database(arena.path)
    db.exec('CREATE TABLE sales (job TEXT, part INTEGER)')
    db.close()
    const ids = Array.from({ length: 400 }, (_, n) => `sale ${n}${n % 100 === 50 ? '!' : ''}`)
    await ledger.enqueueMany(ids.map((id, n) => ({ job: sell, payload: n, options: { id } })))

    let deaths = 0
    for (let over = false; !over; ) {
      const shop = await arena.rival()
      const died = shop.gone.then(() => 'died')
      // Seldom, and few at once: a job survives the loss of two leases, whoever's fault they were.
      const stopped = deaths === 0 ? shop.heard('sold 20 more').then(() => 'enough') : never()
      await shop.ask('start').catch(() => {})
      const all = Promise.all(ids.map((id) => ledger.result(id))).then(() => 'all')
      const happened = await Promise.race([died, stopped, all])
      await shop.kill()
      deaths += 1
      over = happened === 'all'
      expect(sales(arena)).toEqual(successes(arena))
    }
    // Four by their own hand, perhaps one in the midst of whatever it did, and the last one had nothing left to do.
    expect(deaths).toBeGreaterThanOrEqual(5)
    expect(sales(arena)).toEqual(ids.toSorted())
    for (const id of ids.filter((each) => each.endsWith('!'))) {
      const { run, attempt } = await ledger.status(id)
      expect(run).toBeGreaterThan(1)
      expect(attempt).toBe(1)
    }
  })
})

const never = (): Promise<never> => new Promise(() => {})
