/** The definition of the port for tables for SQL: each adapter's own test file is a few lines. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Row, RowChanges, Table } from '../../projections/read-models/tables.js'
import { ATTEMPTS, JOBS, NO_CHANGES, QUEUE_MINUTES, TRIGGERS, WORKERS } from '../../projections/read-models/tables.js'
import { QueryInvalid, QueryWrites, type ReadModels } from '../../runtime/ports/read-models.js'
import type { Checkpoint } from '../../runtime/ports/views.js'

export interface ReadModelsUnderTest {
  readonly models: ReadModels
  /** Another one on the same tables; absent where there can be none. */
  readonly openSecond?: () => Promise<ReadModels>
  readonly dispose: () => Promise<void>
}

const at = (n: number): string => String(n).padStart(16, '0')

function checkpoint(n: number, logId = 'log-1'): Checkpoint {
  return { logId, position: at(n), stream: `job-${n}`, revision: n, eventId: `event-${n}`, version: 1 }
}

/** Absent cells are null, 0 or ''. */
function row(table: Table, cells: Readonly<Record<string, string | number | null>>): Row {
  return table.columns.map(([name, type, absent]) => cells[name] ?? (absent ? null : type === 'text' ? '' : 0))
}

const job = (id: string, cells: Parameters<typeof row>[1] = {}): [string, Row] => [
  id,
  row(JOBS, { id, type: 't', state: 'waiting', ...cells }),
]

export function readModelsSuite(name: string, factory: () => Promise<ReadModelsUnderTest>): void {
  describe(`${name} as read models`, () => {
    let under: ReadModelsUnderTest
    let models: ReadModels
    beforeEach(async () => {
      under = await factory()
      models = under.models
    })
    afterEach(() => under.dispose())

    const save = (changes: Partial<RowChanges>, from: number, to: number, on = models): Promise<boolean> =>
      on.save({ since: from === 0 ? '' : at(from), checkpoint: checkpoint(to), changes: { ...NO_CHANGES, ...changes } })
    const all = async (sql: string): Promise<unknown[]> => (await models.query(sql, [], { limit: 1000 })).rows

    describe('a slice', () => {
      it('is there wholly, with its checkpoint', async () => {
        expect(await models.checkpoint()).toBeUndefined()
        const changes = {
          jobs: new Map([
            job('b', { priority: -3, progress: 0.25, run_at: 1_795_765_116_573 }),
            job('a', { name: 'x' }),
          ]),
          attempts: [row(ATTEMPTS, { job_id: 'b', run: 1, round: 1, wait_ms: 7 })],
          triggers: [row(TRIGGERS, { id: 'tr', kind: 'cron' })],
          workers: [row(WORKERS, { id: 'w', slots: 4 })],
          folds: new Map([['worker-w', '{"a":"\\u0000"}']]),
        }
        expect(await save(changes, 0, 1)).toBe(true)
        expect(await models.checkpoint()).toEqual(checkpoint(1))
        expect(await models.folds(['worker-w', 'worker-v'])).toEqual(changes.folds)
        expect(await all('SELECT id, name, priority, progress, run_at FROM jobs ORDER BY seq')).toEqual([
          { id: 'b', name: null, priority: -3, progress: 0.25, run_at: 1_795_765_116_573 },
          { id: 'a', name: 'x', priority: 0, progress: null, run_at: null },
        ])
        expect(await all('SELECT job_id, run, wait_ms FROM attempts')).toEqual([{ job_id: 'b', run: 1, wait_ms: 7 }])
        expect(await all('SELECT id, kind FROM triggers')).toEqual([{ id: 'tr', kind: 'cron' }])
        expect(await all('SELECT id, slots FROM workers')).toEqual([{ id: 'w', slots: 4 }])
      })

      it('comes in once, and only where the one before has come in', async () => {
        const minutes = [row(QUEUE_MINUTES, { minute: 60_000, queue: 'q', queued: 2 })]
        expect(await save({ minutes }, 0, 1)).toBe(true)
        expect(await save({ minutes }, 0, 1)).toBe(false)
        expect(await save({ minutes }, 2, 3)).toBe(false)
        expect(await save({ minutes }, 1, 2)).toBe(true)
        expect(await all('SELECT minute, queue, queued FROM queue_minutes')).toEqual([
          { minute: 60_000, queue: 'q', queued: 4 },
        ])
        expect(await models.checkpoint()).toEqual(checkpoint(2))
      })

      it('writes over rows of the same key, and a job keeps its place among the others', async () => {
        await save({ jobs: new Map([job('a'), job('b')]) }, 0, 1)
        await save({ jobs: new Map([job('c'), job('a', { state: 'failed', error: 'E', error_message: 'm' })]) }, 1, 2)
        expect(await all('SELECT id, state FROM jobs ORDER BY seq')).toEqual([
          { id: 'a', state: 'failed' },
          { id: 'b', state: 'waiting' },
          { id: 'c', state: 'waiting' },
        ])
      })

      it('of another log, or of a process that was slower, changes nothing', async () => {
        await save({ jobs: new Map([job('a')]) }, 0, 1)
        const other = { since: at(1), checkpoint: checkpoint(2, 'log-2'), changes: NO_CHANGES }
        expect(await models.save(other)).toBe(false)
        const second = await under.openSecond?.()
        if (second === undefined) return
        try {
          expect(await save({ jobs: new Map([job('b')]) }, 1, 2, second)).toBe(true)
          expect(await save({ jobs: new Map([job('c')]) }, 1, 2)).toBe(false)
          expect(await all('SELECT id FROM jobs ORDER BY seq')).toEqual([{ id: 'a' }, { id: 'b' }])
        } finally {
          await second.close()
        }
      })

      it('takes any text', async () => {
        const id = 'a \u0000 \u0010 " \\ {} \u{1F600} NULL'
        const paths = new Map([[id, [{ path: 'p', value: id }]]])
        await save({ jobs: new Map([job(id, { error: id, error_message: id })]), paths }, 0, 1)
        const sql =
          'SELECT j.id, j.error_message, p.value FROM jobs j JOIN payload_paths p ON p.seq = j.seq WHERE j.id = $1'
        const { rows } = await models.query(sql, [id], { limit: 9 })
        expect(rows).toEqual([{ id, error_message: id, value: id }])
      })
    })

    describe('what goes', () => {
      const value = (of: string): [string, { path: string; value: string }[]] => [of, [{ path: 'p', value: of }]]

      beforeEach(() =>
        save(
          {
            jobs: new Map(['a', 'b', 'c'].map((id) => job(id, { error: 'E', error_message: `says ${id}` }))),
            attempts: ['a', 'b', 'c'].map((id) => row(ATTEMPTS, { job_id: id, run: 1, round: 1, error_message: id })),
            paths: new Map(['a', 'b', 'c'].map(value)),
          },
          0,
          1,
        ),
      )

      const state = (): Promise<unknown[][]> =>
        Promise.all([
          all('SELECT id, error_message AS m, archived FROM jobs ORDER BY id'),
          all('SELECT job_id AS id, error_message AS m FROM attempts ORDER BY job_id'),
          all('SELECT job_id AS id, value FROM payload_paths ORDER BY job_id'),
        ])

      it('of an expunged job are its texts and values, of a removed one its rows; an archived one is marked', async () => {
        await save({ expunged: ['a'], removed: ['b'], archived: new Map([['c', 's-1']]) }, 1, 2)
        expect(await state()).toEqual([
          [
            { id: 'a', m: '', archived: null },
            { id: 'c', m: 'says c', archived: 's-1' },
          ],
          [
            { id: 'a', m: '' },
            { id: 'c', m: 'c' },
          ],
          [{ id: 'c', value: 'c' }],
        ])
      })

      it('an archived job stays marked when its row is written over', async () => {
        await save({ archived: new Map([['c', 's-1']]) }, 1, 2)
        await save({ jobs: new Map([job('c')]) }, 2, 3)
        expect(await all("SELECT archived FROM jobs WHERE id = 'c'")).toEqual([{ archived: 's-1' }])
      })

      it('values of a payload give way to those of the next one', async () => {
        await save(
          {
            paths: new Map([
              ['a', [{ path: 'p', value: 'new' }]],
              ['b', []],
            ]),
          },
          1,
          2,
        )
        expect((await state())[2]).toEqual([
          { id: 'a', value: 'new' },
          { id: 'c', value: 'c' },
        ])
      })

      it('all of it when it is started over, unless somebody else has done so', async () => {
        await models.startOver(checkpoint(7))
        expect(await all('SELECT id FROM jobs')).toHaveLength(3)
        await models.startOver(checkpoint(1))
        expect(await state()).toEqual([[], [], []])
        expect(await models.checkpoint()).toBeUndefined()
        expect(await save({ jobs: new Map([job('a')]) }, 0, 1)).toBe(true)
      })
    })

    describe('built again beside those that serve', () => {
      async function* others(): AsyncGenerator<RowChanges, void, undefined> {
        yield { ...NO_CHANGES, jobs: new Map([job('n')]), archived: new Map([['n', 's']]) }
        yield { ...NO_CHANGES, jobs: new Map([job('m')]), paths: new Map([['m', [{ path: 'p', value: 'v' }]]]) }
      }

      it('take their place in one step, unless those have changed meanwhile; minutes may stay', async () => {
        await save({ jobs: new Map([job('a')]), minutes: [row(QUEUE_MINUTES, { minute: 1, queued: 1 })] }, 0, 1)
        const by = (keepMinutes: boolean) => ({ checkpoint: checkpoint(1), changes: others(), keepMinutes })
        expect(await models.startOver(checkpoint(2), by(true))).toBe(false)
        expect(await all('SELECT id FROM jobs')).toEqual([{ id: 'a' }])
        expect(await models.startOver(checkpoint(1), by(true))).toBe(true)
        expect(await all('SELECT id, archived FROM jobs ORDER BY seq')).toEqual([
          { id: 'n', archived: 's' },
          { id: 'm', archived: null },
        ])
        expect(await all('SELECT job_id, value FROM payload_paths')).toEqual([{ job_id: 'm', value: 'v' }])
        expect(await all('SELECT queued FROM queue_minutes')).toEqual([{ queued: 1 }])
        expect(await models.startOver(checkpoint(1), by(false))).toBe(true)
        expect(await all('SELECT queued FROM queue_minutes')).toEqual([])
        expect(await save({}, 1, 2)).toBe(true)
      })

      it('begin empty, and are seen by nobody else', async () => {
        await save({ jobs: new Map([job('a')]) }, 0, 1)
        const fresh = await models.fresh()
        expect(await fresh.checkpoint()).toBeUndefined()
        expect(await save({ jobs: new Map([job('b')]) }, 0, 1, fresh)).toBe(true)
        expect((await fresh.query('SELECT id FROM jobs', [], { limit: 9 })).rows).toEqual([{ id: 'b' }])
        expect(await all('SELECT id FROM jobs')).toEqual([{ id: 'a' }])
        await fresh.close()
        const again = await models.fresh()
        expect(await again.checkpoint()).toBeUndefined()
        await again.close()
      })
    })

    describe('projections of the user', () => {
      const put = (
        since: number,
        to: number,
        rows: Record<string, string | null>,
        failure?: string,
      ): Promise<boolean> =>
        models.projections.save('p', {
          since: since === 0 ? '' : at(since),
          checkpoint: checkpoint(to),
          rows: new Map(Object.entries(rows)),
          failure,
        })

      it('have rows and a checkpoint in one step, once', async () => {
        expect(await models.projections.of('p')).toBeUndefined()
        expect(await put(0, 1, { '': '{}', a: '1', b: '2' })).toBe(true)
        expect(await put(0, 1, { a: '9' })).toBe(false)
        expect(await put(1, 2, { a: null, c: '"\u0000"' }, 'it throws')).toBe(true)
        expect(await models.projections.of('p')).toEqual({ checkpoint: checkpoint(2), failure: 'it throws' })
        const { projections } = models
        expect([...(await projections.rows('p', { after: '', limit: 2 }))]).toEqual([
          ['', '{}'],
          ['b', '2'],
        ])
        expect([...(await projections.rows('p', { after: 'b', limit: 2 }))]).toEqual([['c', '"\u0000"']])
        expect([...(await projections.rows('p', { keys: ['b', 'z'] }))]).toEqual([['b', '2']])
      })

      it('take the place of another one, and are dropped', async () => {
        await put(0, 1, { a: '1' })
        const { projections } = models
        await projections.save('q', { since: '', checkpoint: checkpoint(5), rows: new Map([['x', '7']]) })
        await projections.replace('p', 'q')
        expect([...(await projections.rows('p', { after: '', limit: 9 }))]).toEqual([['x', '7']])
        expect(await projections.of('q')).toBeUndefined()
        await projections.drop('p')
        expect([...(await projections.rows('p', { after: '', limit: 9 }))]).toEqual([])
        expect(await projections.of('p')).toBeUndefined()
      })
    })

    describe('a query', () => {
      it('has parameters, columns in order, and no more rows than asked for', async () => {
        await save({ jobs: new Map(['a', 'b', 'c'].map((id) => job(id))) }, 0, 1)
        const sql = 'SELECT seq, id FROM jobs WHERE id <> $1 AND priority = $2 ORDER BY id'
        const { columns, rows } = await models.query(sql, ['b', 0], { limit: 1 })
        expect([columns, rows]).toEqual([['seq', 'id'], [{ seq: expect.any(Number), id: 'a' }]])
        expect((await models.query('SELECT count(*) AS n FROM jobs', [], { limit: 1 })).rows).toEqual([{ n: 3 }])
        expect((await models.query("SELECT id FROM jobs WHERE id = 'z'", [], { limit: 1 })).columns).toEqual(['id'])
      })

      it.each([
        'DELETE FROM jobs',
        "INSERT INTO projection_rows VALUES ('a', 'b', 'c')",
        'DROP TABLE jobs',
        'BEGIN',
        'COMMIT',
      ])('only reads: %s', async (sql) => {
        await save({ jobs: new Map([job('a')]) }, 0, 1)
        await expect(models.query(sql, [], { limit: 1 })).rejects.toThrow(QueryWrites)
        expect(await all('SELECT id FROM jobs')).toEqual([{ id: 'a' }])
      })

      it.each([
        'SELECT 1; DELETE FROM jobs',
        'SELECT nothing FROM jobs',
        'SELECT FROM WHERE',
        'SELECT id FROM nowhere',
        '',
      ])('is one statement that makes sense: %s', async (sql) => {
        await expect(models.query(sql, [], { limit: 1 })).rejects.toThrow(QueryInvalid)
      })

      it('fails with the reason of its signal', async () => {
        const signal = AbortSignal.abort(new Error('gone'))
        await expect(models.query('SELECT 1', [], { limit: 1, signal })).rejects.toThrow('gone')
      })
    })
  })
}
