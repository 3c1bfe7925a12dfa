/** What the law takes out of an archive: jobs that are archived are removed as others are, and their segments sealed anew. */
import { describe, expect, it } from 'vitest'
import { newKey } from '../../adapters/audit-tools.js'
import type { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import type { EventTexts } from '../../domain/event.js'
import type { Ledger } from '../../runtime/ledger.js'
import { end, work } from '../scenarios/ends.js'
import type { ArchiveWorld } from './archive-world.js'
import { archiveWorld, close, KINDS, LATER, longAgo, NEAR, wordsOf } from './archive-world.js'
import { rejection } from './support.js'

const ALL = { before: 0 } as const

async function archived(world: ArchiveWorld): Promise<{ ledger: Ledger; clock: VirtualClock }> {
  await longAgo(world)
  const clock = world.clock(LATER)
  const ledger = await world.open(clock, { scheduler: false })
  await ledger.archive.run({ before: '90d' })
  return { ledger, clock }
}

const codesOf = (ledger: Ledger, id: string): Promise<unknown[]> =>
  Promise.all(
    [ledger.status(id), ledger.history(id), ledger.result(id), ledger.attempts(id)].map(async (asked) => {
      return ((await rejection(asked)) as { code?: string }).code
    }),
  )

describe.each(KINDS)('of an archived log (%s)', (kind) => {
  it('a job is removed, on record, and the rest is as it was', async () => {
    await using world = await archiveWorld(kind)
    const { ledger, clock } = await archived(world)
    const before = await world.texts()
    const files = await world.segments.list()
    const totals = await ledger.queues.stats()
    expect(await ledger.query('SELECT id FROM jobs WHERE id = ?', ['a'])).toHaveLength(1)
    const minutes = await ledger.query('SELECT * FROM queue_minutes ORDER BY minute, type, queue')
    expect(await ledger.as({ user: 'ann', reason: 'the law' }).remove('a')).toEqual(['a'])
    const gone = ['JOB_REMOVED', 'JOB_REMOVED', 'JOB_REMOVED', 'JOB_REMOVED']
    expect(await codesOf(ledger, 'a')).toEqual(gone)
    expect(await rejection(ledger.remove('a'))).toMatchObject({ code: 'JOB_REMOVED', outcome: 'succeeded' })
    expect(await rejection(ledger.enqueue(work, 'x', { id: 'a' }))).toMatchObject({
      code: 'STREAM_REMOVED',
      message: 'Job a was removed; its id cannot be used again.',
    })
    const [deed] = (await ledger.deeds({ limit: 1 })).deeds
    expect(deed).toMatchObject({ deed: 'remove', ids: ['a'], actor: 'ann', reason: 'the law' })
    expect((await ledger.explain('a')).says).toContain('ann')
    expect(await ledger.queues.stats()).toEqual(totals)
    expect(await ledger.query('SELECT id FROM jobs WHERE id = ?', ['a'])).toEqual([])
    expect(await ledger.query('SELECT * FROM queue_minutes ORDER BY minute, type, queue')).toEqual(minutes)
    const isLeft = ({ stream }: EventTexts): boolean => stream !== 'job-a' && stream !== 'audit'
    expect((await world.texts()).filter(isLeft)).toEqual(before.filter(isLeft))
    // On the disk as in the log.
    expect(await world.segments.list()).toHaveLength(files.length)
    expect(await wordsOf(world)).not.toContain('"stream":"job-a"')
    expect(await ledger.result('b')).toBe('succeeded')
    const rebuilt = await world.open(clock, { scheduler: false })
    expect(await codesOf(rebuilt, 'a')).toEqual(gone)
    expect(await rebuilt.queues.stats()).toEqual(totals)
    expect(await rebuilt.result('b')).toBe('succeeded')
    for (const each of [ledger, rebuilt]) await close(each, clock)
  })

  it('several are taken out at once, by two who do not know of each other', async () => {
    await using world = await archiveWorld(kind)
    const { ledger, clock } = await archived(world)
    const rival = await world.open(clock, { scheduler: false })
    const deeds = [ledger.remove('a'), rival.remove('b'), ledger.expunge('c'), rival.remove('bad'), rival.expunge('c')]
    expect((await Promise.all(deeds)).filter((answer) => answer === true)).toHaveLength(1)
    const same = await Promise.allSettled([ledger.remove('after'), rival.remove('after')])
    expect(same.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const words = await wordsOf(world)
    for (const id of ['a', 'b', 'bad', 'after']) expect(words).not.toContain(`"stream":"job-${id}"`)
    const isTidy = world.tidied()
    const events = await world.texts()
    if (isTidy)
      expect(events.filter(({ stream }) => stream === 'job-c').every(({ body }) => !body || 'hash' in body)).toBe(true)
    expect(events.filter(({ stream }) => stream === 'job-gone').length).toBeGreaterThan(1)
    // One for the jobs, one for beginnings.
    expect(await world.segments.list()).toHaveLength(2)
    for (const each of [ledger, rival]) await close(each, clock)
  })

  it.each(NEAR.includes(kind) ? ['before it was archived', 'after that'] : ['after that'])(
    'what was signed %s stays provable',
    async (when) => {
      await using world = await archiveWorld(kind)
      await longAgo(world)
      const key = newKey('example.com/test')
      const clock = world.clock(LATER)
      const ledger = await world.open(clock, { scheduler: false, audit: { key: key.secret, every: false } })
      const held: string[] = []
      const sign = async (): Promise<void> => void held.push((await ledger.audit.checkpoint()).note)
      if (when !== 'after that') await sign()
      await ledger.archive.run(ALL)
      await sign()
      await ledger.expunge('a')
      await ledger.remove('b')
      await sign()
      await ledger.remove('a')
      await sign()
      const { ok, findings } = await ledger.audit.verify({ held, keys: [key.key] })
      expect({ ok, findings }).toEqual({ ok: true, findings: [] })
      await close(ledger, clock)
    },
  )
})

describe.each(NEAR)('of an archived log (%s), wherever it is,', (kind) => {
  it('a segment goes with its last job', async () => {
    await using world = await archiveWorld(kind)
    const clock = world.clock(LATER)
    const ledger = await world.open(clock)
    await ledger.start()
    for (const id of ['x', 'y']) await end(ledger, id)
    await clock.advance('1s')
    await ledger.archive.run(ALL)
    const files = await world.segments.list()
    await ledger.remove('x')
    await ledger.remove('y')
    expect((await world.segments.list()).length).toBe(files.length - 1)
    expect((await world.texts()).filter(({ stream }) => stream.startsWith('job-'))).toEqual([])
    expect(await rejection(ledger.status('x'))).toMatchObject({ code: 'JOB_REMOVED' })
    const rebuilt = await world.open(clock, { scheduler: false })
    expect(await rejection(rebuilt.history('y'))).toMatchObject({ code: 'JOB_REMOVED' })
    expect((await rebuilt.queues.stats()).default).toMatchObject({ succeeded: 2 })
    for (const each of [ledger, rebuilt]) await close(each, clock)
  })

  it('what others need goes by force only, and what it needed with it if it is told so', async () => {
    await using world = await archiveWorld(kind)
    const clock = world.clock(LATER)
    const ledger = await world.open(clock)
    await ledger.start()
    for (const id of ['base', 'own']) await end(ledger, id)
    for (const id of ['first', 'second']) await end(ledger, id, 'succeeded', { dependsOn: ['base'] })
    await end(ledger, 'third', 'succeeded', { dependsOn: ['base', 'own'] })
    await clock.advance('1s')
    expect(await ledger.archive.run(ALL)).toMatchObject({ jobs: 5 })
    expect((await ledger.status('base')).dependents).toEqual(['first', 'second', 'third'])
    await ledger.enqueue(work, 'x', { id: 'late', held: true, dependsOn: ['first'] })
    expect(await rejection(ledger.remove('first'))).toMatchObject({ code: 'JOB_NEEDED', dependents: ['late'] })
    expect(await ledger.remove('first', { force: true })).toEqual(['first'])
    // `second` depends on `base`, too.
    expect((await ledger.remove('third', { cascade: true })).sort()).toEqual(['own', 'third'])
    expect((await ledger.status('base')).dependents).toEqual(['second'])
    const rebuilt = await world.open(clock, { scheduler: false })
    expect((await rebuilt.status('base')).dependents).toEqual(['second'])
    expect((await rebuilt.asOf(clock.now()).job('base')).dependents).toEqual(['second'])
    expect((await rebuilt.remove('second', { cascade: true })).sort()).toEqual(['base', 'second'])
    for (const each of [ledger, rebuilt]) await close(each, clock)
  })

  it('the tables forget what is erased in a segment', async () => {
    await using world = await archiveWorld(kind)
    const { ledger, clock } = await archived(world)
    const errors = (): Promise<unknown> =>
      ledger.query(
        "SELECT error_message FROM attempts WHERE job_id = 'bad' UNION SELECT error_message FROM jobs WHERE id = 'bad'",
      )
    expect(JSON.stringify(await errors())).toContain('as told')
    expect(await ledger.as({ user: 'ann' }).expunge('bad')).toBe(true)
    expect(JSON.stringify(await errors())).not.toContain('as told')
    expect((await ledger.deeds({ limit: 1 })).deeds[0]).toMatchObject({ deed: 'expunge', ids: ['bad'], actor: 'ann' })
    await close(ledger, clock)
  })
})
