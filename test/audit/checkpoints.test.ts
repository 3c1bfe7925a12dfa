/** Checkpoints, proofs and what a verification says, on every kind of store. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nodeDigest } from '../../adapters/node/digest.js'
import { readLine, readManifest } from '../../domain/audit/bundle.js'
import { toHex } from '../../domain/audit/encoding.js'
import { NoteUnreadable } from '../../domain/audit/errors.js'
import { LeafHasher } from '../../domain/audit/leaf.js'
import { isConsistent, nodeHasher, rootByInclusion } from '../../domain/audit/merkle.js'
import { parseCheckpoint, parseNote } from '../../domain/audit/note.js'
import { InvalidOption } from '../../domain/errors.js'
import { AuditKeyMissing, ProofUnavailable } from '../../runtime/audit/errors.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { Backend } from '../engine/support.js'
import { eventstore, memory, oneStreamAtATime, postgres, rejection, sqlite, World } from '../engine/support.js'
import { realServer, removeLog } from '../support/eventstore/logs.js'
import { FakeEventStore } from '../support/eventstore/server.js'
import { missingPostgres } from '../support/postgres.js'
import { audit, keyOf, mail, OWN } from './world.js'

const node = nodeHasher(nodeDigest.hash)

async function work(world: World, ledger: Ledger, ids: readonly string[]): Promise<void> {
  await ledger.start()
  for (const id of ids) {
    await ledger.enqueue(mail, { to: id }, { id })
    await world.pass(ledger.result(id))
  }
  await world.pass(ledger.stop())
}

async function typesIn(world: World): Promise<string[]> {
  const types: string[] = []
  for await (const page of (await world.store()).readStream('audit')) types.push(...page.map(({ type }) => type))
  return types
}

const ONE_CHECKPOINT = ['CheckpointBegun', 'LeavesHashed', 'CheckpointSigned']

const missing = missingPostgres()
if (missing !== undefined) console.log(`not tried on PostgreSQL: ${missing}`)
let fake: FakeEventStore
beforeAll(async () => {
  fake = await FakeEventStore.start()
})
afterAll(() => fake.stop())
const esdb = realServer === undefined ? eventstore(() => fake.url()) : eventstore(() => realServer ?? '', removeLog)
const BACKENDS = [memory, oneStreamAtATime, sqlite, esdb, ...(missing === undefined ? [postgres] : [])]

describe.each(BACKENDS)('$name', (backend: Backend) => {
  test('a checkpoint covers all there is; the next one what came since; a third finds nothing new', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open({ jobs: [mail], audit })
    await work(world, ledger, ['a', 'b'])
    const first = await ledger.audit.checkpoint()
    expect(first).toMatchObject({ isNew: true, key: OWN.key })
    expect(parseCheckpoint(parseNote(first.note))).toMatchObject({ origin: 'example.com/jobs', size: first.size })
    await work(world, ledger, ['c'])
    const second = await ledger.audit.checkpoint()
    expect(second.size).toBeGreaterThan(first.size + 3)
    expect(await ledger.audit.checkpoint()).toEqual({ ...second, isNew: false })
    expect(await typesIn(world)).toEqual([...ONE_CHECKPOINT, ...ONE_CHECKPOINT])
    const report = await ledger.audit.verify({ held: [first.note, second.note], keys: [OWN.key] })
    expect(report).toMatchObject({
      ok: true,
      size: second.size,
      root: second.root,
      events: second.size,
      checkpoints: 2,
    })
  })

  test('jobs that are removed or expunged afterwards are on record, and the rest still verifies', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open({ jobs: [mail], audit })
    await work(world, ledger, ['a', 'b', 'c'])
    const { note } = await ledger.audit.checkpoint()
    const expunged = world.pass(ledger.as({ user: 'ann', reason: 'art. 17' }).expunge('b'))
    if (backend === esdb) expect(await rejection(expunged)).toMatchObject({ code: 'STORE_REFUSED' })
    else await expunged
    await world.pass(ledger.remove('a'))
    await ledger.audit.checkpoint()
    const report = await ledger.audit.verify({ held: [note], keys: [OWN.key] })
    expect(report).toMatchObject({ ok: true, findings: [], erased: backend === esdb ? 0 : 2 })
    // Until it tidies up such a store shows what was removed.
    if (backend !== oneStreamAtATime && backend !== esdb) expect(report).toMatchObject({ removed: 3, removals: 1 })
  })

  test('two runtimes at once: each leaf is in the tree once, and each of them has a checkpoint that covers what it knew', async () => {
    await using world = await World.create(backend)
    const one = await world.open({ jobs: [mail], audit })
    const two = await world.open({ jobs: [mail], audit })
    await work(world, one, ['a', 'b'])
    const made = await Promise.all([one.audit.checkpoint(), two.audit.checkpoint(), one.audit.checkpoint()])
    const report = await two.audit.verify({ held: made.map(({ note }) => note), keys: [OWN.key] })
    expect(report).toMatchObject({ ok: true, findings: [] })
  })

  test('what was begun and left lying does no harm', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open({ jobs: [mail], audit })
    await work(world, ledger, ['a'])
    for (const stop of ['before', 'LeavesHashed']) {
      const controller = new AbortController()
      const left = ledger.events$.subscribe(({ type }) => {
        if (type === 'CheckpointBegun' && stop === 'before') controller.abort()
      })
      if (stop === 'before') {
        await expect(ledger.audit.checkpoint({ signal: controller.signal })).rejects.toThrow()
      } else {
        const sign = (): Promise<Uint8Array> => Promise.reject(new Error('the key is away'))
        const other = await world.open({ audit: { key: { key: OWN.key, sign }, every: false } })
        await expect(other.audit.checkpoint()).rejects.toThrow('the key is away')
      }
      left.unsubscribe()
    }
    const { note } = await ledger.audit.checkpoint()
    expect(await typesIn(world)).toEqual(['CheckpointBegun', 'CheckpointBegun', 'LeavesHashed', ...ONE_CHECKPOINT])
    expect(await ledger.audit.verify({ held: [note], keys: [OWN.key] })).toMatchObject({ ok: true })
  })

  test('a proof of a job: each event is in the tree of the checkpoint, which grew out of the one before', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open({ jobs: [mail], audit })
    await work(world, ledger, ['a', 'b'])
    const { note } = await ledger.audit.checkpoint()
    await work(world, ledger, ['c', 'd'])
    await ledger.audit.checkpoint()
    for (const job of ['a', 'c', 'd']) {
      const lines = (await ledger.audit.prove({ job }, { since: note })).trimEnd().split('\n')
      const manifest = readManifest(lines[0] ?? '')
      const { size, root } = parseCheckpoint(parseNote(manifest.checkpoint))
      expect(manifest).toMatchObject({ kind: 'proof', events: 3, streams: 1, filter: { job } })
      const proven = lines.slice(1, -1).map((line, index) => {
        const read = readLine(line, index + 2)
        if (read.kind !== 'event' || read.index === undefined || read.path === undefined) throw new Error(line)
        const leaf = new LeafHasher(nodeDigest.hash).hash(read.event)
        const found = rootByInclusion(node, { leaf, index: read.index, size, path: read.path })
        expect(found && toHex(found)).toBe(toHex(root))
        return read.event.type
      })
      expect(proven).toEqual(['Queued', 'Leased', 'Finished'])
      const old = parseCheckpoint(parseNote(note))
      const proof = (manifest.consistency?.proof ?? []).map((hash) => Buffer.from(hash, 'base64'))
      expect(isConsistent(node, { old: old.size, oldRoot: old.root, size, root, proof })).toBe(true)
    }
    const one = await ledger.audit.prove({ event: { stream: 'job-a', revision: 1 } })
    expect(one.trimEnd().split('\n')).toHaveLength(3)
  })

  test('a proof of a job that has gone on since: what is covered, and how much came later', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open({ jobs: [mail], audit })
    await work(world, ledger, ['a'])
    await ledger.audit.checkpoint()
    const whole = await ledger.audit.prove({ job: 'a' })
    expect(readManifest(whole.split('\n')[0] ?? '')).not.toHaveProperty('later')
    await world.pass(ledger.retry('a'))
    const [first = '', ...lines] = (await ledger.audit.prove({ job: 'a' })).trimEnd().split('\n')
    expect(readManifest(first)).toMatchObject({ events: 3, later: 1 })
    expect(lines).toHaveLength(4)
  })
})

/** A minute at a time, so that what is due in one is done in it. */
async function minutes(world: World, count: number): Promise<void> {
  for (let minute = 0; minute < count; minute += 1) await world.clock.advance('1m')
}

test('nor is a leaf twice in the tree when another one signs between the look at the last checkpoint and the next', async () => {
  await using world = await World.create(memory)
  const [one, two] = [await world.open({ jobs: [mail], audit }), await world.open({ jobs: [mail], audit })]
  const held = [(await one.audit.checkpoint()).note]
  await one.enqueue(mail, { to: 'a' })
  const store = await world.store()
  const head = store.head.bind(store)
  // Asked for after the last checkpoint was read.
  store.head = async () => {
    store.head = head
    held.push((await two.audit.checkpoint()).note)
    return head()
  }
  held.push((await one.audit.checkpoint()).note)
  expect(await one.audit.verify({ held, keys: [OWN.key] })).toMatchObject({ ok: true, findings: [], checkpoints: 3 })
})

test('nor are the events of a job leaves that is just being removed by somebody who knows of no checkpoints', async () => {
  await using world = await World.create(oneStreamAtATime)
  const unaware = await world.open({ jobs: [mail] })
  await work(world, unaware, ['a', 'b'])
  const store = await world.store()
  const remove = store.remove.bind(store)
  let goOn = (): void => {}
  const isRecorded = new Promise<void>((resolve) => {
    store.remove = async (streams) => {
      store.remove = remove
      resolve()
      await new Promise<void>((go) => {
        goOn = go
      })
      return remove(streams)
    }
  })
  const removal = unaware.remove('a')
  await isRecorded
  const ledger = await world.open({ audit })
  const { note } = await ledger.audit.checkpoint()
  expect(await ledger.audit.verify({ held: [note] })).toMatchObject({ ok: true, findings: [] })
  goOn()
  await removal
  expect(await ledger.audit.verify({ held: [note] })).toMatchObject({ ok: true, findings: [] })
})

describe('by itself', () => {
  test('a started ledger makes one each time the time has come, if there is something new', async () => {
    await using world = await World.create(memory)
    const ledger = await world.open({ jobs: [mail], audit: { ...audit, every: '10m' } })
    const signed: number[] = []
    ledger.events$.subscribe(({ type, at }) => {
      if (type === 'CheckpointSigned') signed.push(at)
    })
    await world.clock.advance('1h')
    expect(signed).toEqual([])
    const started = world.clock.now()
    await ledger.start()
    await minutes(world, 11)
    expect(signed).toHaveLength(1)
    expect(signed[0]).toBeGreaterThanOrEqual(started + 600_000)
    await world.pass(ledger.stop())
    await world.clock.advance('1h')
    expect(signed).toHaveLength(1)
  })

  test('two processes share the work', async () => {
    await using world = await World.create(memory)
    const options = { jobs: [mail], audit: { ...audit, every: '10m' as const } }
    const [one, two] = [await world.open(options), await world.open(options)]
    await one.start()
    await two.start()
    await minutes(world, 35)
    expect((await typesIn(world)).filter((type) => type === 'CheckpointSigned')).toHaveLength(3)
  })
})

describe('refused', () => {
  test('a checkpoint without a key', async () => {
    await using world = await World.create(memory)
    const ledger = await world.open()
    expect(await rejection(ledger.audit.checkpoint())).toBeInstanceOf(AuditKeyMissing)
  })

  test('proofs of what no checkpoint covers', async () => {
    await using world = await World.create(memory)
    const ledger = await world.open({ jobs: [mail], audit })
    await work(world, ledger, ['a'])
    expect(await rejection(ledger.audit.prove({ job: 'a' }))).toBeInstanceOf(ProofUnavailable)
    await ledger.audit.checkpoint()
    await ledger.enqueue(mail, { to: 'x' }, { id: 'b' })
    expect(await rejection(ledger.audit.prove({ job: 'b' }))).toBeInstanceOf(ProofUnavailable)
    expect(await rejection(ledger.audit.prove({ event: { stream: 'job-a', revision: 9 } }))).toBeInstanceOf(
      ProofUnavailable,
    )
    expect(await rejection(ledger.audit.prove({ job: 'nobody' }))).toMatchObject({ code: 'JOB_UNKNOWN' })
  })

  test.each([
    ['key', { key: 'secret' }],
    ['key', { key: OWN.secret.replace('example.com', 'example.org') }],
    ['key.key', { key: { key: 'x', sign: () => new Uint8Array(64) } }],
    ['key.sign', { key: { key: OWN.key } }],
    ['origin', { key: OWN.secret, origin: 'a\nb' }],
    ['every', { key: OWN.secret, every: 5 }],
    ['often', { key: OWN.secret, often: 1 }],
  ])('a wrong option, %s, without showing a key', async (option, given) => {
    await using world = await World.create(memory)
    const error = await rejection(world.open({ audit: given as never }))
    expect(error).toBeInstanceOf(InvalidOption)
    expect(error).toMatchObject({ option: `openLedger.audit.${option}` })
    expect((error as Error).message).not.toContain('AQEB')
  })

  test('wrong arguments', async () => {
    await using world = await World.create(memory)
    const { audit: calls } = await world.open({ audit })
    for (const wrong of [
      () => calls.prove({} as never),
      () => calls.prove({ job: 'a', event: { stream: 's', revision: 0 } } as never),
      () => calls.prove({ event: { stream: 's', revision: -1 } }),
      () => calls.prove({ job: 'a' }, { sinc: 'x' } as never),
      () => calls.verify({ keys: ['x'] }),
      () => calls.verify({ held: 'x' } as never),
      () => calls.verify({ files: 1 } as never),
      () => calls.verify({ onProgress: 1 } as never),
      () => calls.checkpoint({ sig: 1 } as never),
    ]) {
      expect(await rejection(wrong())).toBeInstanceOf(InvalidOption)
    }
    expect(await rejection(calls.verify({ held: ['x'] }))).toBeInstanceOf(NoteUnreadable)
  })

  test('a checkpoint held that somebody else signed, or that is of another log', async () => {
    await using world = await World.create(memory)
    const ledger = await world.open({ jobs: [mail], audit })
    const { note } = await ledger.audit.checkpoint()
    const kinds = async (options: object): Promise<string[]> =>
      (await ledger.audit.verify(options)).findings.map(({ kind }) => kind)
    expect(await kinds({ held: [note], keys: [keyOf('example.com/jobs', 2).key] })).toEqual(['signature', 'signature'])
    expect(await kinds({ held: [note.replace('jobs\n', 'else\n')], keys: [OWN.key] })).toEqual(['record'])
  })

  test('a signer that does not sign', async () => {
    await using world = await World.create(memory)
    const ledger = await world.open({ audit: { key: { key: OWN.key, sign: () => new Uint8Array(64) }, every: false } })
    expect(await rejection(ledger.audit.checkpoint())).toBeInstanceOf(TypeError)
    expect(await typesIn(world)).not.toContain('CheckpointSigned')
  })
})

test('the keys of a log: those that have signed, and the one of this process', async () => {
  await using world = await World.create(memory)
  const old = keyOf('example.com/jobs', 2)
  const before = await world.open({ jobs: [mail], audit: { key: old.secret } })
  await before.audit.checkpoint()
  const ledger = await world.open({ jobs: [mail], audit })
  expect(await ledger.audit.keys()).toEqual([
    { key: OWN.key, checkpoints: 0, own: true },
    { key: old.key, checkpoints: 1, first: expect.any(Number), last: expect.any(Number), own: false },
  ])
  await ledger.enqueue(mail, { to: 'a' })
  await ledger.audit.checkpoint()
  expect(await ledger.audit.verify()).toMatchObject({ ok: true, relativeTo: 'log', keys: [old.key, OWN.key] })
})

test('no secret is in the log or among what was said of it', async () => {
  await using world = await World.create(memory)
  const ledger = await world.open({ jobs: [mail], audit })
  await ledger.audit.checkpoint()
  const all: unknown[] = [world.log]
  for await (const page of (await world.store()).readAll()) all.push(page)
  expect(JSON.stringify(all)).not.toContain('PRIVATE')
})
