/** A log that is signed, archived and signed again is one tree. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { newKey } from '../../adapters/audit-tools.js'
import type { SegmentSealed } from '../../domain/audit/events.js'
import { parseCheckpoint, parseNote } from '../../domain/audit/note.js'
import type { Ledger } from '../../runtime/ledger.js'
import { work } from '../scenarios/ends.js'
import { type ArchiveWorld, archiveWorld, close, KINDS, LATER, longAgo } from './archive-world.js'

it.each(KINDS)('archiving and expunging leave what was signed provable (%s)', async (kind) => {
  await using world = await archiveWorld(kind)
  await longAgo(world)
  const key = newKey('example.com/test')
  const clock = world.clock(LATER)
  const ledger = await world.open(clock, { scheduler: false, audit: { key: key.secret, every: false } })
  const first = await ledger.audit.checkpoint()
  await ledger.archive.run({ before: 0 })
  const second = await ledger.audit.checkpoint()
  await ledger.expunge('a')
  // Archived: what is covered of it is proven all the same.
  expect(JSON.parse((await ledger.audit.prove({ job: 'b' })).split('\n')[0] ?? '')).toMatchObject({ events: 4 })
  const third = await ledger.audit.checkpoint()
  const held = [first.note, second.note, third.note]
  const verified = async () => {
    const { ok, findings } = await ledger.audit.verify({ held, keys: [key.key] })
    expect({ ok, findings }).toEqual({ ok: true, findings: [] })
  }
  await verified()
  if (world.tidied()) await verified()
  await close(ledger, clock)
})

/** The files of the archive: of jobs, and with beginnings of other streams. */
async function filesOf(ledger: Ledger): Promise<{ jobs: string; cuts: string }> {
  const sealed: SegmentSealed[] = []
  for await (const { data } of ledger.replay({ filter: { types: 'SegmentSealed' } })) sealed.push(data as SegmentSealed)
  const name = (isWanted: (segment: SegmentSealed) => boolean): string => sealed.find(isWanted)?.name ?? ''
  return { jobs: name(({ jobs }) => jobs > 0), cuts: name(({ cut }) => cut !== undefined) }
}

describe('a file of the archive that is missing or damaged is told, and the rest is checked', () => {
  /** `first`: a checkpoint before the archive, by which the log lists what leaves it. */
  async function archived(
    first: boolean,
  ): Promise<{ world: ArchiveWorld; ledger: Ledger; held: string[]; stop(): Promise<void> }> {
    const world = await archiveWorld('sqlite')
    await longAgo(world)
    const clock = world.clock(LATER)
    const key = newKey('example.com/test')
    const ledger = await world.open(clock, { scheduler: false, audit: { key: key.secret, every: false } })
    const held: string[] = []
    if (first) held.push((await ledger.audit.checkpoint()).note)
    await ledger.archive.run({ before: 0 })
    held.push((await ledger.audit.checkpoint()).note)
    return { world, ledger, held, stop: () => close(ledger, clock).then(() => world[Symbol.asyncDispose]()) }
  }

  it.each([true, false])('with jobs (listed: %s)', async (first) => {
    const { world, ledger, held, stop } = await archived(first)
    const { size } = await ledger.audit.verify({ held })
    const { jobs } = await filesOf(ledger)
    const path = join(world.folder, jobs)
    const whole = await readFile(path)
    const events = gunzipSync(whole).toString().trimEnd().split('\n').length - 2
    for (const harm of [() => rm(path), () => writeFile(path, whole.subarray(0, -9))]) {
      await harm()
      const { ok, findings, ...report } = await ledger.audit.verify({ held })
      expect({ ok, findings }).toEqual({
        ok: false,
        findings: [
          expect.objectContaining({
            kind: 'missing',
            file: jobs,
            events,
            message: expect.stringMatching(/of \d jobs, which are among leaves \d+ to \d+, cannot be checked$/),
          }),
        ],
      })
      expect(report).toMatchObject({ size, events: size - events, missing: events, removed: 0 })
    }
    // And what else is wrong is told beside it.
    const db = new Database(join(world.folder, '..', 'jobs.db'))
    db.prepare("UPDATE jobledger_events SET at = at + 1 WHERE name = 'job-waits'").run()
    db.close()
    const { findings } = await ledger.audit.verify({ held })
    expect(findings.map(({ kind }) => kind)).toEqual(['missing', 'changed'])
    expect(findings[1]).toMatchObject({ stream: 'job-waits', revision: 0 })
    await writeFile(path, whole)
    expect((await ledger.audit.verify({ held })).findings).toHaveLength(1)
    await stop()
  })

  it('with the beginning of the audit stream: what it kept of the log before cannot be checked, what came later can', async () => {
    const { world, ledger, held, stop } = await archived(true)
    await ledger.enqueue(work, 'x', { id: 'new', held: true })
    const { cuts } = await filesOf(ledger)
    await rm(join(world.folder, cuts))
    const unchecked = parseCheckpoint(parseNote(held[1])).size
    const before = await ledger.audit.verify({ held })
    expect(before.findings.map(({ kind }) => kind)).toEqual(['missing', 'missing', 'missing'])
    expect(before).toMatchObject({ size: unchecked, missing: unchecked })
    held.push((await ledger.audit.checkpoint()).note)
    const after = await ledger.audit.verify({ held })
    expect(after.findings.map(({ kind }) => kind)).toEqual(['missing', 'missing', 'missing'])
    expect(after.events).toBe(after.size - unchecked)
    await stop()
  })
})
