/** Whatever somebody changes in the file by hand, `verify` finds it, and says where. */
import { copyFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { beforeAll, describe, expect, test } from 'vitest'
import { nodeDigest } from '../../adapters/node/digest.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { LeafHasher } from '../../domain/audit/leaf.js'
import type { EventTexts } from '../../domain/event.js'
import type { AuditFinding } from '../../runtime/audit/findings.js'
import { Redactions } from '../../runtime/audit/redactions.js'
import { temporaryFolder } from '../adapters/temporary-folder.js'
import { audit, type Kept, OWN, tampered, twoCheckpoints } from './world.js'

let kept: Kept

beforeAll(async () => {
  const { path, remove } = await temporaryFolder()
  kept = await twoCheckpoints(path)
  return remove
})

/** Where in the file the event of this revision is; of job a by default. */
function positionOf(db: Database.Database, revision: number, stream = 'job-a'): number {
  const first = db.prepare('SELECT position FROM jobledger_events WHERE name = ?').pluck().get(stream)
  const sql = 'SELECT position FROM jobledger_events WHERE stream = ? AND revision = ?'
  return db.prepare(sql).pluck().get(first, revision) as number
}

const set = (db: Database.Database, column: string, value: string, position: number): void =>
  void db.prepare(`UPDATE jobledger_events SET ${column} = ${value} WHERE position = ?`).run(position)

interface EventRow {
  readonly revision: number
  readonly id: string
  readonly type: string
  readonly at: number
  readonly data: string
  readonly metadata: string | null
  readonly seal: Buffer | null
  readonly body: string | Buffer | null
}

/** Of job a, as it is stored. */
function eventAt(db: Database.Database, position: number): EventTexts {
  const row = db.prepare('SELECT * FROM jobledger_events WHERE position = ?').get(position) as EventRow
  const { revision, id, type, at, data, metadata, seal, body } = row
  const content = seal === null ? undefined : body === null ? { hash: seal } : { salt: seal, content: body }
  return { stream: 'job-a', revision, position: '', id, type, at, data, metadata: metadata ?? undefined, body: content }
}

test('a log that nobody has touched verifies', async () => {
  const report = await tampered(kept, () => {})
  expect(report).toMatchObject({ ok: true, findings: [], relativeTo: 'held', checkpoints: 2, held: 1, removed: 0 })
  expect(report.events).toBe(report.size)
  // What keeps and signs the second checkpoint is in none yet.
  expect(report.unsealed).toBe(2)
})

describe('located', () => {
  test.each([
    ['a byte of a payload', "replace(body, 'a@', 'o@')", 'body', 0, 'Queued'],
    ['a timestamp', 'at - 60000', 'at', 1, 'Leased'],
    ['an outcome', `replace(data, 'succeeded', 'failed')`, 'data', 2, 'Finished'],
    ['a type', "'Cancelled'", 'type', 2, 'Cancelled'],
    ['who did it', `'{"actor":"eve"}'`, 'metadata', 2, 'Finished'],
  ])('%s', async (_, value, column, revision, type) => {
    const report = await tampered(kept, (db) => set(db, column, value, positionOf(db, revision)))
    expect(report.findings).toEqual([expect.objectContaining({ kind: 'changed', stream: 'job-a', revision, type })])
  })

  test('an event that was dropped', async () => {
    const report = await tampered(kept, (db) => {
      db.prepare('DELETE FROM jobledger_events WHERE position = ?').run(positionOf(db, 1))
    })
    expect(report.findings).toEqual([expect.objectContaining({ kind: 'dropped', stream: 'job-a', revision: 1 })])
    expect(report.findings[0]?.message).toMatch(
      /dropped between Queued at revision 0 of job-a and Finished at revision 2/,
    )
  })

  test('two that were swapped', async () => {
    const report = await tampered(kept, (db) => {
      const [leased, finished] = [positionOf(db, 1), positionOf(db, 2)]
      set(db, 'position', '-1', leased)
      set(db, 'position', `${leased}`, finished)
      set(db, 'position', `${finished}`, -1)
    })
    expect(report.findings).toEqual([
      expect.objectContaining({ kind: 'moved', stream: 'job-a', revision: 1, type: 'Leased' }),
    ])
  })

  test('one that came in', async () => {
    const report = await tampered(kept, (db) => {
      const stream = positionOf(db, 0)
      const at = positionOf(db, 0, 'job-b')
      db.prepare('UPDATE jobledger_events SET position = -position WHERE position >= ?').run(at)
      db.prepare('UPDATE jobledger_events SET position = 1 - position WHERE position < 0').run()
      db.prepare('UPDATE jobledger_events SET stream = stream + 1 WHERE stream >= ?').run(at)
      db.prepare(
        "INSERT INTO jobledger_events (position, stream, revision, type, at, id, data) VALUES (?, ?, 3, 'Expunged', 1, 'x', '{}')",
      ).run(at, stream)
    })
    expect(report.findings).toEqual([
      expect.objectContaining({ kind: 'inserted', stream: 'job-a', revision: 3, type: 'Expunged' }),
    ])
  })

  test('the end of the log', async () => {
    const { findings } = await tampered(
      kept,
      (db) => {
        db.prepare('DELETE FROM jobledger_events WHERE position >= ?').run(positionOf(db, 1, 'job-e'))
      },
      kept.notes,
    )
    expect(findings).toEqual([expect.objectContaining({ kind: 'truncated', stream: 'job-e', revision: 0 })])
    expect(findings[0]?.message).toMatch(/the log ends with Queued at revision 0 of job-e/)
  })

  test('a whole job, from the first checkpoint on nothing else', async () => {
    const { findings } = await tampered(kept, (db) => {
      const stream = positionOf(db, 0, 'job-c')
      db.prepare('DELETE FROM jobledger_events WHERE stream = ?').run(stream)
    })
    expect(findings).toEqual([expect.objectContaining({ kind: 'dropped' })])
    expect(findings[0]?.message).toMatch(/leaves \d+ to \d+ dropped between/)
  })

  test('a body that is gone without a word', async () => {
    const { findings } = await tampered(kept, (db) => {
      const sql = 'SELECT seal, body FROM jobledger_events WHERE position = ?'
      const { seal, body } = db.prepare(sql).get(positionOf(db, 0)) as { seal: Buffer; body: string }
      const hash = Buffer.from(nodeDigest.sha256(seal, body), 'hex')
      db.prepare('UPDATE jobledger_events SET seal = ?, body = NULL WHERE position = ?').run(hash, positionOf(db, 0))
    })
    expect(findings).toEqual([expect.objectContaining({ kind: 'erased', stream: 'job-a', revision: 0 })])
  })
})

describe('a stream that was written anew, with fresh hashes', () => {
  /** The outcome of job a, and in place of its kept leaf the one that fits. Whose hash that is again nobody can say without a key. */
  function rewrite(db: Database.Database): void {
    const position = positionOf(db, 2)
    const before = leafAt(db, position)
    set(db, 'data', `replace(data, 'succeeded', 'failed')`, position)
    const after = leafAt(db, position)
    const rows = db.prepare("SELECT position, body FROM jobledger_events WHERE type = 'LeavesHashed'").all()
    for (const row of rows as { position: number; body: Buffer }[]) {
      const at = row.body.indexOf(before)
      if (at === -1) continue
      after.copy(row.body, at)
      db.prepare('UPDATE jobledger_events SET body = ? WHERE position = ?').run(row.body, row.position)
    }
  }

  const leafAt = (db: Database.Database, position: number): Buffer =>
    Buffer.from(new LeafHasher(nodeDigest.hash).hash(eventAt(db, position)))

  test('does not fit what was signed', async () => {
    const { findings } = await tampered(kept, rewrite, [])
    expect(findings[0]).toMatchObject({ kind: 'rewritten', stream: 'audit', leaves: { from: 0 } })
    expect(findings[0]?.message).toMatch(/^leaves 0 to \d+ are not what was signed at revision 2 of audit/)
    // The hashes that were exchanged are themselves an event that the second checkpoint covers.
    expect(findings.at(-1)).toMatchObject({ kind: 'changed', stream: 'audit', type: 'LeavesHashed' })
  })

  test('nor, should all that was signed be gone, what somebody else holds', async () => {
    const { findings } = await tampered(kept, (db) => {
      rewrite(db)
      const audit = db.prepare("SELECT position FROM jobledger_events WHERE name = 'audit'").pluck().get()
      db.prepare('DELETE FROM jobledger_events WHERE stream = ? AND revision > 0').run(audit)
    })
    expect(findings).toEqual([expect.objectContaining({ kind: 'rewritten' })])
  })
})

describe('events that were written anew with all there is of them, and signed again', () => {
  /** Files from before, and what is said beside them of a log that was made of the old one with one more change. */
  async function rewritten(change: (db: Database.Database) => void): Promise<AuditFinding[][]> {
    const path = join(dirname(kept.path), 'before.db')
    await copyFile(kept.path, path)
    const files = ['a.proof', 'all.ndjson.gz'].map((name) => join(dirname(path), name))
    const before = await openLedger({ url: `sqlite:${path}` })
    await writeFile(files[0] as string, await before.audit.prove({ job: 'a' }))
    await before.export({ to: files[1] as string })
    await before.close()
    const db = new Database(path)
    change(db)
    const audits = db.prepare("SELECT position FROM jobledger_events WHERE name = 'audit'").pluck().get()
    db.prepare('DELETE FROM jobledger_events WHERE stream = ? AND revision > 0').run(audits)
    db.close()
    await Promise.all(['', '-wal', '-shm'].map((end) => rm(`${path}-views${end}`, { force: true })))
    const after = await openLedger({ url: `sqlite:${path}`, audit })
    await after.audit.checkpoint()
    const findings: AuditFinding[][] = []
    for (const file of files)
      findings.push([...(await after.audit.verify({ files: [file], keys: [OWN.key] })).findings])
    await after.close()
    return findings
  }

  test('are named by who holds a proof or an export from before', async () => {
    const changed = expect.objectContaining({ kind: 'changed', stream: 'job-a', revision: 2, type: 'Finished' })
    const [proof, all] = await rewritten((db) =>
      set(db, 'data', "replace(data, 'succeeded', 'failed')", positionOf(db, 2)),
    )
    expect(proof).toContainEqual(changed)
    expect(proof?.filter(({ kind }) => kind === 'changed')).toHaveLength(1)
    expect(all).toContainEqual(changed)
    expect(all?.filter(({ stream, kind }) => kind === 'changed' && stream !== 'audit')).toHaveLength(1)
  })
})

test('the beginning of a stream that was dropped', async () => {
  const { findings } = await tampered(kept, (db) => {
    db.prepare('DELETE FROM jobledger_events WHERE position = ?').run(positionOf(db, 0))
  })
  expect(findings.map(({ kind }) => kind)).toContain('changed')
})

test('a removal that names no job', async () => {
  const { findings } = await tampered(kept, (db) => {
    const audit = positionOf(db, 0, 'audit')
    const sql = `INSERT INTO jobledger_events (position, stream, revision, type, at, id, data, seal, body)
      VALUES (9999, ?, 6, 'JobsRemoved', 1, 'x', '{"jobs":[]}', ?, ?)`
    db.prepare(sql).run(audit, Buffer.alloc(16), Buffer.alloc(32))
  })
  expect(findings).toEqual([expect.objectContaining({ kind: 'record', stream: 'audit', type: 'JobsRemoved' })])
})

describe('a removal that was made up behind the last checkpoint', () => {
  /** That this job, with these events, was removed. */
  function record(db: Database.Database, id: string, contents: readonly Uint8Array[]): void {
    const data = JSON.stringify({ jobs: [{ id, outcome: 'succeeded' }], events: [contents.length] })
    const audit = positionOf(db, 0, 'audit')
    const next = db.prepare('SELECT max(revision) + 1 FROM jobledger_events WHERE stream = ?').pluck().get(audit)
    const sql = `INSERT INTO jobledger_events (position, stream, revision, type, at, id, data, seal, body)
      VALUES (9999, ?, ?, 'JobsRemoved', 1, 'x', ?, ?, ?)`
    db.prepare(sql).run(audit, next, data, Buffer.alloc(16), Buffer.concat(contents))
  }

  const contentsOfA = (db: Database.Database): Uint8Array[] =>
    [0, 1, 2].map((revision) => new LeafHasher(nodeDigest.hash).content(eventAt(db, positionOf(db, revision))))

  const drop = (db: Database.Database, position: number): void =>
    void db.prepare('DELETE FROM jobledger_events WHERE position = ?').run(position)

  test('of another job excuses nothing', async () => {
    const { findings } = await tampered(kept, (db) => {
      record(db, 'z', contentsOfA(db))
      drop(db, positionOf(db, 2))
    })
    expect(findings).toContainEqual(expect.objectContaining({ kind: 'dropped' }))
  })

  test('of the job itself excuses no single event', async () => {
    const { findings } = await tampered(kept, (db) => {
      record(db, 'a', contentsOfA(db))
      drop(db, positionOf(db, 2))
    })
    expect(findings).toEqual([expect.objectContaining({ kind: 'dropped', stream: 'job-a' })])
  })

  test('does not let its events be written anew', async () => {
    const { findings } = await tampered(kept, (db) => {
      record(db, 'a', contentsOfA(db))
      const first = positionOf(db, 0)
      set(db, 'data', "replace(data, 'succeeded', 'failed')", positionOf(db, 2))
      const sql = 'UPDATE jobledger_events SET position = position + 20000, stream = stream + 20000 WHERE stream = ?'
      db.prepare(sql).run(first)
    })
    expect(findings).toContainEqual(expect.objectContaining({ kind: 'inserted', stream: 'job-a', type: 'Finished' }))
  })

  test('has to say whose events are in it', async () => {
    const { findings } = await tampered(kept, (db) => {
      record(db, 'a', contentsOfA(db))
      set(db, 'data', "replace(data, '[3]', '[2]')", 9999)
    })
    expect(findings).toEqual([expect.objectContaining({ kind: 'record', stream: 'audit', type: 'JobsRemoved' })])
  })

  test('of the whole job is a removal as any other', async () => {
    const report = await tampered(kept, (db) => {
      record(db, 'a', contentsOfA(db))
      for (const revision of [2, 1, 0]) drop(db, positionOf(db, revision))
    })
    expect(report).toMatchObject({ ok: true, removed: 3, removals: 1 })
  })
})

test("the body of an event that is not a job's is not erased without a word, but where it was carried for others", () => {
  const event = { stream: 'trigger-t', revision: 0, position: '1', id: 'x', type: 'TriggerAdded', at: 1, data: '{}' }
  const body = { hash: new Uint8Array(32) }
  const redactions = new Redactions()
  redactions.follow({ ...event, revision: 1, type: 'TriggerFired', data: '{"rest":{"stream":"job-a"}}', body })
  expect(redactions.findings).toEqual([])
  redactions.follow({ ...event, body })
  const erased = [expect.objectContaining({ kind: 'erased', stream: 'trigger-t', revision: 0 })]
  expect(redactions.findings).toEqual(erased)
  // Its payload goes when another one takes its place.
  redactions.follow({ ...event, revision: 2, type: 'TriggerUpdated', data: '{"keepsPayload":true}' })
  expect(redactions.findings).toEqual(erased)
  redactions.follow({ ...event, revision: 3, type: 'TriggerUpdated' })
  expect(redactions.findings).toEqual([])
})

test('a checkpoint that another key signed is none', async () => {
  const { findings } = await tampered(kept, (db) => {
    const sql = `UPDATE jobledger_events SET data = replace(data, 'example.com/jobs\\n', 'example.com/else\\n') WHERE type = 'CheckpointSigned'`
    db.prepare(sql).run()
  })
  expect(findings.map(({ kind }) => kind)).toContain('signature')
})
