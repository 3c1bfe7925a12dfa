/** Whoever archives stops dead after one of its steps, or is killed there. Whoever archives next finds nothing lost and nothing twice. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import type { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import { eventLine } from '../../domain/audit/bundle.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { AppendGroup, AppendOutcome, EventStore } from '../../runtime/ports/event-store.js'
import type { ArchiveWorld } from './archive-world.js'
import { archiveWorld, close, LATER, longAgo, NEAR, wordsOf } from './archive-world.js'
import { gate, rejection } from './support.js'

const DUE = { before: '90d' } as const

/** After which call it is dead: what that has done is done, and answers nobody. */
type Step = (call: 'append' | 'remove' | 'truncate', groups: readonly AppendGroup[]) => boolean

function after(type: string, nth = 1): Step {
  let left = nth
  return (_, groups) => {
    left -= groups.flatMap(({ events }) => events).filter((event) => event.type === type).length
    return left <= 0
  }
}
const afterCall =
  (name: string): Step =>
  (call) =>
    call === name

function mortal(store: EventStore, isLast: Step): EventStore {
  let isDead = false
  const never = (): Promise<never> => new Promise(() => {})
  const call = async <Answer>(work: () => Promise<Answer>, step: () => boolean): Promise<Answer> => {
    if (isDead) return never()
    const answer = await work()
    isDead ||= step()
    return isDead ? never() : answer
  }
  const own = {
    append: (groups: readonly AppendGroup[]): Promise<AppendOutcome[]> =>
      call(
        () => store.append(groups),
        () => isLast('append', groups),
      ),
    remove: (streams: readonly string[]) =>
      call(
        () => store.remove(streams),
        () => isLast('remove', []),
      ),
    truncate: (stream: string, before: number) =>
      call(
        () => store.truncate(stream, before),
        () => isLast('truncate', []),
      ),
  }
  return new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(key in own ? own : target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const isWork = ({ type, stream }: { type: string; stream: string }): boolean =>
  type !== 'Condemned' && stream !== 'audit'

async function linesOf(world: ArchiveWorld): Promise<string[]> {
  return (await world.texts()).filter(isWork).map((event) => eventLine(event))
}

const STEPS: Readonly<Record<string, () => Step>> = {
  'has condemned the jobs': () => after('Condemned'),
  'has recorded a segment of jobs': () => after('SegmentSealed'),
  'has recorded that they are gone': () => after('JobsRemoved'),
  'has taken their streams out': () => afterCall('remove'),
  'has recorded a segment of beginnings': () => after('SegmentSealed', 2),
  'has cut one of them off': () => afterCall('truncate'),
}

describe.each(NEAR.filter((kind) => kind !== 'sqlite'))('who archives dies (%s)', (kind) => {
  it.each(Object.keys(STEPS))('when it %s', async (step) => {
    await using world = await archiveWorld(kind)
    await longAgo(world)
    const before = await linesOf(world)
    const clock = world.clock(LATER)
    const died = gate()
    const isLast = (STEPS[step] as () => Step)()
    const handle = mortal(world.store, (...call) => {
      if (!isLast(...call)) return false
      died.open()
      return true
    })
    const mortalLedger = await world.open(clock, { scheduler: false, handle })
    void mortalLedger.archive.run(DUE).then(() => died.open())
    await died.promise
    expect(await linesOf(world)).toEqual(before)
    const next = await world.open(clock, { scheduler: false })
    // What is left behind by a store of one stream at a time is completed after a while.
    await clock.advance('10s')
    await next.archive.run(DUE)
    expect(await linesOf(world)).toEqual(before)
    expect(await next.archive.run(DUE)).toMatchObject({ jobs: 0, cut: 0 })
    expect((await next.list()).jobs).toHaveLength(2)
    expect((await next.history('a')).length).toBeGreaterThan(3)
    await close(next, clock)
  })
})

describe.each(['expunge', 'remove'] as const)('who archives dies, then somebody asks to %s a job', (deed) => {
  it.each(NEAR.filter((kind) => kind !== 'sqlite'))('whose segment is sealed (%s)', async (kind) => {
    await using world = await archiveWorld(kind)
    await longAgo(world)
    const clock = world.clock(LATER)
    const died = gate()
    const isLast = after('SegmentSealed')
    const handle = mortal(world.store, (...call) => {
      if (!isLast(...call)) return false
      died.open()
      return true
    })
    const first = await world.open(clock, { scheduler: false, handle })
    void first.archive.run(DUE)
    await died.promise
    const next = await world.open(clock, { scheduler: false })
    await next[deed]('a')
    const legible = async (): Promise<number> =>
      (await world.texts()).filter(({ stream, body }) => stream === 'job-a' && body !== undefined && 'content' in body)
        .length
    expect(await legible()).toBe(0)
    for (const name of await world.segments.list())
      for await (const { text } of world.segments.lines(name)) expect(text).not.toContain('"stream":"job-a"')
    await next.archive.run(DUE)
    expect(await legible()).toBe(0)
    expect((await world.texts()).filter(({ stream }) => stream === 'job-b').length).toBeGreaterThan(3)
    await close(next, clock)
  })
})

/** A log that was archived, and a ledger on it that dies once it has recorded an event of this type. */
async function archivedAndDying(
  world: ArchiveWorld,
  type: string,
): Promise<{ readonly clock: VirtualClock; readonly ledger: Ledger; readonly died: Promise<void> }> {
  await longAgo(world)
  const clock = world.clock(LATER)
  const first = await world.open(clock, { scheduler: false })
  await first.archive.run(DUE)
  await close(first, clock)
  const died = gate()
  const isLast = after(type)
  const handle = mortal(world.store, (...call) => {
    if (!isLast(...call)) return false
    died.open()
    return true
  })
  return { clock, ledger: await world.open(clock, { scheduler: false, handle }), died: died.promise }
}

describe.each(NEAR.filter((kind) => kind !== 'sqlite'))('who takes a job out of a segment dies (%s)', (kind) => {
  it.each([
    ['remove', 'JobsRemoved'],
    ['expunge', 'SegmentSealed'],
  ] as const)('when that is on record, before the old file is gone: %s', async (deed, type) => {
    await using world = await archiveWorld(kind)
    const { clock, ledger, died } = await archivedAndDying(world, type)
    void ledger[deed]('a')
    await died
    const holds = async (): Promise<number> => (await world.segments.list()).length
    expect(await holds()).toBe(3)
    const next = await world.open(clock, { scheduler: false })
    if (deed === 'remove') expect(await rejection(next.remove('a'))).toMatchObject({ code: 'JOB_REMOVED' })
    else expect(await next.expunge('a')).toBe(false)
    expect(await holds()).toBe(2)
    expect((await world.texts()).some(({ stream, body }) => stream === 'job-a' && body && 'content' in body)).toBe(
      false,
    )
    expect(await next.result('b')).toBe('succeeded')
    await close(next, clock)
  })
})

describe.each(NEAR.filter((kind) => kind !== 'sqlite'))('who applies rules to an archive dies (%s)', (kind) => {
  const rules = [{ name: 'law', maxCount: 0, queue: 'q' }]
  it.each(['SegmentBegun', 'JobsRemoved'])('after it has recorded %s', async (type) => {
    await using world = await archiveWorld(kind)
    const { ledger, died } = await archivedAndDying(world, type)
    void ledger.retention.run({ rules })
    await died
    const later = world.clock(LATER + 3_600_000)
    const next = await world.open(later, { scheduler: false })
    expect((await next.retention.run({ rules })).removed).toBe(type === 'SegmentBegun' ? 3 : 0)
    expect(await wordsOf(world)).not.toMatch(/"stream":"job-[abc]"/)
    expect(await world.segments.list()).toHaveLength(2)
    expect(await rejection(next.status('a'))).toMatchObject({ code: 'JOB_REMOVED' })
    expect((await next.history('bad')).length).toBeGreaterThan(3)
    await close(next, later)
  })
})

const PACKAGE = fileURLToPath(new URL('../../dist/', import.meta.url))
/** Archives what is there, or removes some of it for good, and kills itself at the nth of these moments. */
const PROGRAM = `
  const [, , dist, path, at, deed] = process.argv
  const { openLedger } = await import(dist + 'index.js')
  const { SqliteEventStore } = await import(dist + 'adapters/sqlite/event-store.js')
  const { NodeFolder } = await import(dist + 'adapters/node/folder.js')
  let left = Number(at)
  const moment = () => { left -= 1; if (left === 0) process.kill(process.pid, 'SIGKILL') }
  for (const [type, name] of [[SqliteEventStore, 'append'], [SqliteEventStore, 'truncate'], [NodeFolder, 'write'], [NodeFolder, 'remove']]) {
    const call = type.prototype[name]
    type.prototype[name] = async function (...given) {
      const answer = await call.apply(this, given)
      moment()
      return answer
    }
  }
  const ledger = await openLedger({ url: 'sqlite:' + path, scheduler: false })
  if (deed === 'archive') await ledger.archive.run({ before: 0 })
  else for (const id of ['a', 'b']) await ledger.remove(id).catch((error) => { if (error.code !== 'JOB_REMOVED') throw error })
  await ledger.close()
`

/** Each goes one step further than the one before it. */
async function killedAtEach(world: ArchiveWorld, deed: 'archive' | 'remove'): Promise<(number | null)[]> {
  const program = join(world.folder, '..', 'program.mjs')
  await writeFile(program, PROGRAM)
  const codes: (number | null)[] = []
  const path = world.folder.replace('-archive', '')
  for (let moment = 1; codes.at(-1) !== 0 && moment < 12; moment += 1) {
    const given = [PACKAGE, path, String(moment), deed]
    const child = fork(program, given, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    codes.push(((await once(child, 'exit')) as [number | null])[0])
  }
  return codes
}

describe('a process that archives', () => {
  it('is killed between any two steps, again and again, until it gets through', { timeout: 120_000 }, async () => {
    await using world = await archiveWorld('sqlite')
    const path = world.folder.replace('-archive', '')
    await longAgo(world)
    const before = await linesOf(world)
    const codes = await killedAtEach(world, 'archive')
    expect(codes.at(-1)).toBe(0)
    expect(codes.length).toBeGreaterThan(4)
    const ledger = await openLedger({ url: `sqlite:${path}`, scheduler: false })
    expect((await ledger.list()).jobs.map(({ id }) => id).sort()).toEqual(['needed', 'waits'])
    expect((await ledger.history('a')).filter(({ type }) => type === 'Finished')).toHaveLength(1)
    await ledger.close()
    expect((await linesOf(world)).slice(0, before.length)).toEqual(before)
    const files = (await world.segments.list()).length
    const removing = await killedAtEach(world, 'remove')
    expect(removing.at(-1)).toBe(0)
    expect(removing.length).toBeGreaterThan(3)
    const isLeft = (line: string): boolean => !/"stream":"job-[ab]"/.test(line)
    expect((await linesOf(world)).slice(0, before.filter(isLeft).length)).toEqual(before.filter(isLeft))
    // What was written by those who did not live to say so is told by nobody, and goes with the next run after a while.
    const later = world.clock(Date.now() + 3_600_000)
    const tidy = await world.open(later, { scheduler: false })
    await tidy.archive.run({ before: '90d' })
    await close(tidy, later)
    expect(await wordsOf(world)).not.toMatch(/"stream":"job-[ab]"/)
    expect((await world.segments.list()).length).toBeLessThanOrEqual(files)
  })
})
