/** What is old leaves the log for sealed files, and is read as if it were still there. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MemoryViews } from '../../adapters/memory/views.js'
import { eventLine } from '../../domain/audit/bundle.js'
import type { EventTexts } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import { work } from '../scenarios/ends.js'
import type { ArchiveWorld } from './archive-world.js'
import { archiveWorld, close, KINDS, LATER, longAgo, NEAR } from './archive-world.js'
import { rejection } from './support.js'

const GONE = ['a', 'b', 'c', 'bad', 'gone', 'after']
const DUE = { before: '90d' } as const

async function answers(ledger: Ledger): Promise<unknown> {
  const each = async (ask: (id: string) => Promise<unknown>): Promise<unknown> =>
    Promise.all(GONE.map(async (id) => [id, await ask(id).catch((error: Error) => `${error.name}: ${error.message}`)]))
  return {
    status: await each((id) => ledger.status(id)),
    history: await each((id) => ledger.history(id)),
    attempts: await each((id) => ledger.attempts(id)),
    result: await each((id) => ledger.result(id)),
    errors: await ledger.dependencyErrors('after'),
    waits: await ledger.status('waits'),
    stats: await ledger.queues.stats(),
    trigger: await ledger.triggers.get('minutely'),
    workers: await ledger.workers.list(),
  }
}

/** Without what archiving has recorded or says of itself, and jobs that are named as dependents: of those that were archived it is not told. */
const essence = (answer: unknown): unknown =>
  JSON.parse(JSON.stringify(answer), (key, value) => {
    if (key === 'dependents' || key === 'archived') return undefined
    return Array.isArray(value) ? value.filter((one) => one?.type !== 'Condemned') : value
  })

/** Byte for byte. */
const ofJobs = (events: readonly EventTexts[]): string[] =>
  events.filter(({ type, stream }) => type !== 'Condemned' && stream !== 'audit').map((event) => eventLine(event))

async function liveTypes(store: EventStore): Promise<string[]> {
  const types: string[] = []
  for await (const page of store.readAll({ streams: ['job-', 'worker-'] })) types.push(...page.map(({ type }) => type))
  return types
}

async function archived(world: ArchiveWorld): Promise<{ ledger: Ledger; clock: ReturnType<ArchiveWorld['clock']> }> {
  await longAgo(world)
  const clock = world.clock(LATER)
  const ledger = await world.open(clock, { scheduler: false })
  await ledger.archive.run(DUE)
  return { ledger, clock }
}

describe.each(KINDS)('an archived log (%s)', (kind) => {
  it('answers as before, from the views that were there and from new ones', async () => {
    await using world = await archiveWorld(kind)
    const views = await world.views()
    await longAgo(world, views)
    const clock = world.clock(LATER)
    const ledger = await world.open(clock, { views, scheduler: false })
    const before = await answers(ledger)
    const events = await world.texts()
    const report = await ledger.archive.run(DUE)
    expect(report).toMatchObject({ jobs: 9, kept: 1, segments: 2 })
    expect(report.cut).toBeGreaterThan(0)
    expect((await ledger.status('a')).archived).toMatch(/\.ndjson\.gz$/)
    expect(essence(await answers(ledger))).toEqual(essence(before))
    expect(ofJobs(await world.texts())).toEqual(ofJobs(events))
    const rebuilt = await world.open(clock, { scheduler: false })
    expect(essence(await answers(rebuilt))).toEqual(essence(before))
    expect((await rebuilt.list()).jobs.map(({ id }) => id).sort()).toEqual(['needed', 'waits'])
    // Of each stream that goes on, the last event; of jobs, what a waiting one needs.
    if (world.tidied()) expect((await liveTypes(world.store)).length).toBeLessThan(10)
    for (const each of [ledger, rebuilt]) await close(each, clock)
  })

  it('loses the bodies of a job that is expunged, and keeps the rest', async () => {
    await using world = await archiveWorld(kind)
    const { ledger, clock } = await archived(world)
    const isTidy = world.tidied()
    const before = await world.texts()
    const files = await world.segments.list()
    expect(await ledger.as({ user: 'ann' }).expunge('a')).toBe(true)
    expect(await ledger.expunge('a')).toBe(false)
    if (!isTidy) return close(ledger, clock)
    const after = await world.texts()
    const ofA = ({ stream }: EventTexts): boolean => stream === 'job-a'
    expect(after.filter(ofA).map(({ id }) => id)).toEqual(before.filter(ofA).map(({ id }) => id))
    expect(after.filter(ofA).every(({ body }) => body === undefined || 'hash' in body)).toBe(true)
    expect(ofJobs(after.filter((event) => !ofA(event)))).toEqual(ofJobs(before.filter((event) => !ofA(event))))
    expect((await ledger.history('a'))[0]).toMatchObject({ type: 'Queued', erased: true })
    expect(await ledger.result('b')).toBe('succeeded')
    // The file with the bodies is gone, and it is on record who had it so.
    const left = await world.segments.list()
    expect(left).toHaveLength(files.length)
    const [replacing] = after.filter(
      ({ type, data }) => type === 'SegmentSealed' && data.includes('"expunged":{"rule":"operator","jobs":[{"id":"a"'),
    )
    expect(replacing?.metadata).toContain('ann')
    expect(files).toContain((JSON.parse(replacing?.data ?? '{}') as { replaces: string }).replaces)
    const rebuilt = await world.open(clock, { scheduler: false })
    expect((await rebuilt.history('a'))[0]).toMatchObject({ erased: true })
    for (const each of [ledger, rebuilt]) await close(each, clock)
  })
})

describe.each(NEAR)('an archived log (%s), wherever it is,', (kind) => {
  it('is known to views that are older than what has left the log', async () => {
    await using world = await archiveWorld(kind)
    const old = new MemoryViews()
    const early = world.clock(LATER - 99 * 86_400_000)
    const first = await world.open(early, { views: old, scheduler: false })
    await first.enqueue(work, 'x', { id: 'first', held: true })
    await close(first, early)
    const { ledger: archiving, clock: then } = await archived(world)
    await close(archiving, then)
    // What the first run has recorded leaves the log with the second.
    const clock = world.clock(LATER + 100 * 86_400_000)
    const ledger = await world.open(clock, { scheduler: false })
    expect((await ledger.archive.run(DUE)).cut).toBeGreaterThan(0)
    const late = await world.open(clock, { views: old, scheduler: false })
    expect((await late.rebuild()).filter(({ identical }) => !identical)).toEqual([])
    expect(await late.triggers.get('minutely')).toEqual(await ledger.triggers.get('minutely'))
    expect((await late.history('a')).length).toBeGreaterThan(2)
    for (const each of [ledger, late]) await close(each, clock)
  })

  it('is left alone by who counts only', async () => {
    await using world = await archiveWorld(kind)
    await longAgo(world)
    const clock = world.clock(LATER)
    const ledger = await world.open(clock, { scheduler: false })
    const before = await world.texts()
    const counted = await ledger.archive.run({ ...DUE, dryRun: true })
    // A worker that went away long ago may be found dead meanwhile.
    expect((await world.texts()).slice(0, before.length)).toEqual(before)
    expect(await world.segments.list()).toEqual([])
    const { jobs, cut, kept } = await ledger.archive.run(DUE)
    expect(counted).toMatchObject({ jobs, cut, kept, segments: 0, bytes: 0 })
    expect(await ledger.archive.run(DUE)).toMatchObject({ jobs: 0, cut: 0, segments: 0 })
    await close(ledger, clock)
  })

  it('does nothing more with what is archived, and says so', async () => {
    await using world = await archiveWorld(kind)
    const { ledger, clock } = await archived(world)
    const deeds = [ledger.retry('a'), ledger.cancel('a'), ledger.promote('a')]
    const refused = await Promise.all(deeds.map(rejection))
    for (const error of refused) expect(error).toMatchObject({ code: 'JOB_ARCHIVED', jobId: 'a' })
    expect(await rejection(ledger.enqueue(work, 'x', { id: 'a' }))).toMatchObject({
      code: 'STREAM_REMOVED',
      message: expect.stringMatching(/^Job a is archived \(segment .*\); its id cannot be used again\.$/),
    })
    // As of one that was removed, its outcome holds for who comes to depend on it.
    await ledger.enqueue(work, 'x', { id: 'late', held: true, dependsOn: ['a', { id: 'bad', on: 'finished' }] })
    expect((await ledger.status('late')).blockedBy).toEqual([])
    await close(ledger, clock)
  })

  it('says which file is missing or not as it was sealed', async () => {
    await using world = await archiveWorld(kind)
    const { ledger, clock } = await archived(world)
    const { data } = (await world.texts()).find(({ type }) => type === 'SegmentSealed') as EventTexts
    const { name } = JSON.parse(data) as { name: string }
    await close(ledger, clock)
    const reader = await world.open(clock, { scheduler: false })
    await writeFile(join(world.folder, name), 'not that')
    expect(await rejection(reader.history('a'))).toMatchObject({ code: 'SEGMENT_DAMAGED', segment: name })
    expect(await rejection(world.texts())).toMatchObject({ code: 'SEGMENT_DAMAGED' })
    await rm(join(world.folder, name))
    expect(await rejection(reader.history('a'))).toMatchObject({ code: 'SEGMENT_MISSING', segment: name })
    expect(await rejection(world.texts())).toMatchObject({ code: 'SEGMENT_MISSING' })
    await close(reader, clock)
  })
})

it.each(NEAR)('keeps of a trigger that has fired often what it needs to fire on (%s)', async (kind) => {
  await using world = await archiveWorld(kind)
  const clock = world.clock(LATER - 100 * 86_400_000)
  const first = await world.open(clock)
  await first.start()
  await first.triggers.add({ id: 'often', kind: 'every', when: '1s', job: work, payload: 'tick' })
  for (let second = 0; second < 130; second += 1) await clock.advance('1s')
  await close(first, clock)
  const later = world.clock(LATER)
  const ledger = await world.open(later, { scheduler: false })
  const before = await ledger.triggers.get('often')
  await ledger.archive.run(DUE)
  let left = 0
  for await (const page of world.store.readAll({ streams: ['trigger-often'] })) left += page.length
  expect(left).toBeLessThan(10)
  expect(await ledger.triggers.get('often')).toEqual(before)
  // Also for who begins with the log, and with a payload that is still there.
  const rebuilt = await world.open(later, { scheduler: false })
  expect(await rebuilt.triggers.get('often')).toEqual(before)
  const { jobId } = await rebuilt.triggers.fire('often')
  expect((await rebuilt.status(jobId)).payload).toBe('tick')
  for (const each of [ledger, rebuilt]) await close(each, later)
})
