/** Exports that a checkpoint proves: what both verifiers say of them, and of those that somebody has touched. */
import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkBundleFile } from '../../adapters/audit-tools.js'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { systemClock } from '../../adapters/node/clock.js'
import { nodeDigest } from '../../adapters/node/digest.js'
import { findFile } from '../../adapters/node/folder.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import { endLine, type Manifest } from '../../domain/audit/bundle.js'
import type { BundleReport } from '../../runtime/audit/bundle-check.js'
import { copyLog } from '../../runtime/copy/copy.js'
import { openBundle } from '../../runtime/export/bundle-source.js'
import type { Exported, ExportOptions } from '../../runtime/export/export.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import { type ArchiveWorld, archiveWorld, close, LATER, longAgo } from '../engine/archive-world.js'
import { rejection } from '../engine/support.js'
import { end } from '../scenarios/ends.js'
import { audit, OWN } from './world.js'

const VERIFIER = fileURLToPath(new URL('../../docs/jobledger_verify.py', import.meta.url))
const hasPython = spawnSync('python3', ['--version']).status === 0
if (!hasPython) console.log('not tried with the verifier in Python: there is no python3 on this machine')

interface Made {
  readonly exported: Exported
  readonly file: string
  readonly text: string
}

let world: ArchiveWorld
let notes: string[]
let whole: Made
let middle: Made
let filtered: Made
let count = 0

/** A checkpoint; then a job is removed, others are archived, one of them and one that is not are erased; a checkpoint; and more. */
beforeAll(async () => {
  world = await archiveWorld('memory')
  await longAgo(world)
  const clock = new VirtualClock(LATER)
  const ledger = await world.open(clock, { scheduler: false, audit })
  notes = [(await ledger.audit.checkpoint()).note]
  await ledger.remove('c')
  await ledger.archive.run({ before: '90d' })
  await ledger.expunge('b')
  await ledger.start()
  await end(ledger, 'd', 'succeeded', { queue: 'q' })
  await ledger.expunge('d')
  notes.push((await ledger.audit.checkpoint()).note)
  await end(ledger, 'e', 'succeeded', { queue: 'q' })
  const make = async (name: string, options: Omit<ExportOptions, 'to'>): Promise<Made> => {
    const file = join(world.folder, '..', name)
    const exported = await ledger.export({ to: file, ...options })
    return { exported, file, text: await readFile(file, 'utf8') }
  }
  whole = await make('whole.ndjson', {})
  const positions = whole.text.split('\n').flatMap((line) => /"position":"([^"]+)"/.exec(line)?.[1] ?? [])
  const [from, until] = [{ position: positions[3] as string }, { position: positions.at(-20) as string }]
  middle = await make('middle.ndjson', { from, until, since: notes[0] as string })
  filtered = await make('filtered.ndjson', { filter: { queue: 'q' }, since: notes[0] as string })
  await close(ledger, clock)
})
afterAll(() => world[Symbol.asyncDispose]())

const ours = (file: string, held: readonly string[] = notes): Promise<BundleReport> =>
  checkBundleFile(file, { held, keys: [OWN.key] })

/** What it says of all these files at once. */
async function python(files: readonly string[], held: readonly string[] = notes): Promise<string> {
  const given: string[] = ['--key', OWN.key]
  for (const [index, note] of held.entries()) {
    await writeFile(join(world.folder, '..', `${index}.note`), note)
    given.push('--held', join(world.folder, '..', `${index}.note`))
  }
  const { status, stdout, stderr } = spawnSync('python3', [VERIFIER, ...files, ...given], { encoding: 'utf8' })
  if (status !== 0 && status !== 5) throw new Error(stderr)
  return stdout
}

async function changed({ text }: Made, change: (text: string) => string, isResealed = true): Promise<string> {
  const lines = change(text).trimEnd().split('\n')
  expect(lines.join('\n')).not.toBe(text.trimEnd())
  const last = JSON.parse(lines.pop() as string) as { events: number; sha256: string }
  const before = `${lines.join('\n')}\n`
  count += 1
  const file = join(world.folder, '..', `${count}.ndjson`)
  await writeFile(file, before + endLine(last.events, isResealed ? nodeDigest.sha256(before) : last.sha256))
  return file
}

const manifestOf = ({ text }: Made): Manifest => JSON.parse(text.slice(0, text.indexOf('\n'))) as Manifest

test('an export says by what it is proven, and both verifiers agree', async () => {
  expect(whole.exported).toMatchObject({ proven: 'whole', removed: expect.any(Number), unsealed: expect.any(Number) })
  expect(whole.exported.removed).toBeGreaterThan(2)
  expect(whole.exported.unsealed).toBeGreaterThan(4)
  expect(manifestOf(whole)).toMatchObject({ checkpoint: notes[1], slice: { index: 0, outside: [] } })
  expect(manifestOf(middle).slice?.index).toBeGreaterThan(0)
  expect(filtered.exported).toMatchObject({ proven: 'each', unsealed: 3 })
  const reports = await Promise.all([whole, middle, filtered].map(({ file }) => ours(file)))
  expect(reports).toEqual([
    expect.objectContaining({ ok: true, proven: 'whole', held: 2, removed: whole.exported.removed }),
    expect.objectContaining({ ok: true, proven: 'whole', held: 2, unsealed: 0 }),
    expect.objectContaining({ ok: true, proven: 'each', held: 2, unsealed: 3, erased: 4 }),
  ])
  if (!hasPython) return
  const said = await python([whole.file, middle.file, filtered.file])
  expect(said).not.toMatch(/DIFFERS/)
  expect(said).toMatch(/all leaves from 0 on, but for the last \d+\. Bare leaves of removed events: 3\n/)
  expect(said).toMatch(/each event, but for the last 3\n/)
})

describe('a byte that was changed is found, and where', () => {
  const cases: [string, () => Made, (text: string) => string, RegExp][] = [
    [
      'a type',
      () => whole,
      (text) => text.replace('"type":"Leased"', '"type":"Lapsed"'),
      /Lapsed at revision 1 of job-/,
    ],
    [
      'a fact',
      () => whole,
      (text) => text.replace(/(job-gone.*Cancelled.*)operator/, '$1operatoz'),
      /Cancelled at revision \d of job-gone/,
    ],
    [
      'a payload',
      () => whole,
      (text) => text.replace(/(job-waits.*"text":"\\")x/, '$1y'),
      /Queued at revision 0 of job-waits/,
    ],
    [
      'the hash of a body',
      () => whole,
      (text) => text.replace(/(job-b".*"hash":")(.)/, (_, before, digit) => before + (digit === '0' ? '1' : '0')),
      /at revision \d of job-b/,
    ],
    [
      'a bare leaf',
      () => whole,
      (text) => text.replace(/"leaf":"./, (leaf) => (leaf.endsWith('0') ? '"leaf":"1' : '"leaf":"0')),
      /bare leaf/,
    ],
    ['a line less', () => whole, (text) => text.split('\n').toSpliced(5, 1).join('\n'), /leaf 4\b/],
    [
      'a slice',
      () => middle,
      (text) => text.replace('"type":"Leased"', '"type":"Lapsed"'),
      /are not those of the checkpoint/,
    ],
    [
      'one of some',
      () => filtered,
      (text) => text.replace('"type":"Leased"', '"type":"Lapsed"'),
      /Lapsed at revision 1 of job-\w+:? is not leaf/,
    ],
    [
      'what came later',
      () => filtered,
      (text) => text.replace(/"unsealed":3/, '"unsealed":2'),
      /3 events (have no path|are not proven)/,
    ],
    [
      'no path',
      () => filtered,
      (text) => text.replace(/,"index":\d+,"path":\[[^\]]*\]/, ''),
      /stands behind what is said to have come after/,
    ],
    [
      'no checkpoint',
      () => whole,
      (text) => text.replace('"checkpoint":', '"chequepoint":'),
      /bare leaves are not proven|no checkpoint that could follow/,
    ],
  ]
  test.each(cases)('%s', async (_, made, change, where) => {
    const file = await changed(made(), change)
    const report = await ours(file)
    expect(report.ok).toBe(false)
    expect(report.findings.map(({ message }) => message).join('\n')).toMatch(where)
  })

  test('also by the verifier in Python', async (context) => {
    context.skip(!hasPython, 'skipped: there is no python3 on this machine')
    const files = await Promise.all(cases.map(([, made, change]) => changed(made(), change)))
    const accident = await changed(whole, (text) => text.replace('"type":"Leased"', '"type":"Lapsed"'), false)
    const said = (await python([...files, accident])).split('\n').filter((line) => line.startsWith('DIFFERS'))
    for (const [index, [title, , , where]] of cases.entries()) {
      const words = said.filter((line) => line.startsWith(`DIFFERS ${files[index]}:`)).join('\n')
      expect({ title, words }).toMatchObject({ title, words: expect.stringMatching(where) })
    }
    expect(said.filter((line) => line.includes(accident)).join('\n')).toMatch(/not as it was written/)
  })
})

async function importInto(to: EventStore, file: string): Promise<void> {
  const { folder, name } = findFile(file)
  const from = await openBundle(folder, name)
  await copyLog({ from, to, clock: systemClock, digest: nodeDigest, signal: new AbortController().signal })
}

test.each([
  ['memory', async () => new MemoryEventStore()],
  ['one stream at a time', async () => new MemoryEventStore({ atomicGroups: false })],
  ['sqlite', () => openSqliteStore(join(world.folder, '..', 'again.db'), { durability: 'normal' })],
] as const)('what is imported verifies by the checkpoints of the log that it came from (%s)', async (_, open) => {
  const store: EventStore = await open()
  await importInto(store, whole.file)
  const ledger = await openLedger({ store })
  const { ok, findings, size, removed } = await ledger.audit.verify({ held: notes, keys: [OWN.key] })
  expect({ ok, findings, removed }).toEqual({ ok: true, findings: [], removed: whole.exported.removed })
  // Proven in its turn, by the same checkpoint.
  const again = join(world.folder, '..', `again-${_}.ndjson`)
  expect(await ledger.export({ to: again })).toMatchObject({ proven: 'whole', removed })
  expect(await ours(again)).toMatchObject({ ok: true, size })
  await ledger.close()
  const unsaid = await changed(filtered, (text) => text.replace('"filter":', '"f":'))
  for (const file of [middle.file, filtered.file, unsaid])
    expect(await rejection(importInto(new MemoryEventStore(), file))).toMatchObject({ code: 'IMPORT_PARTIAL' })
})

test('a log that is not what was signed is exported, and says so', async () => {
  const store = new MemoryEventStore()
  await importInto(store, await changed(whole, (text) => text.replaceAll('"type":"Leased"', '"type":"Heartbeat"')))
  const ledger = await openLedger({ store })
  for (const [name, options] of Object.entries({ all: {}, some: { filter: { types: 'Heartbeat' } } })) {
    const to = join(world.folder, '..', `unproven-${name}.ndjson`)
    const exported = await ledger.export({ to, ...options })
    expect(exported).toMatchObject({ proven: 'nothing', unproven: expect.stringMatching(/Heartbeat at revision 1 of/) })
    expect(await ours(to, [])).toMatchObject({ ok: true, proven: 'nothing', unproven: exported.unproven })
  }
  await ledger.close()
})

test('jobs are removed and archived while the log is exported or verified', async () => {
  const store = new MemoryEventStore()
  await importInto(store, whole.file)
  const ledger = await openLedger({ store, audit, archive: join(world.folder, '..', 'again') })
  await ledger.audit.checkpoint()
  const readAll = store.readAll.bind(store)
  /** Once the next reader of all the log begins. */
  const meanwhile = (change: () => Promise<unknown>): void => {
    store.readAll = (options = {}) => {
      if (options.bodies !== true || options.streams !== undefined) return readAll(options)
      store.readAll = readAll
      return (async function* () {
        await change()
        yield* readAll(options)
      })()
    }
  }
  const to = join(world.folder, '..', 'meanwhile.ndjson')
  meanwhile(() => ledger.remove('d'))
  const { removed } = await ledger.export({ to })
  expect(removed).toBe(whole.exported.removed + 4)
  meanwhile(() => ledger.archive.run({ before: 0 }))
  expect(await ledger.export({ to, force: true })).toMatchObject({ proven: 'whole', removed })
  expect(await ours(to)).toMatchObject({ ok: true })
  meanwhile(() => ledger.remove('waits'))
  // What was removed on record since a file was made is not missed.
  const files = [whole, middle, filtered].map(({ file }) => file)
  expect(await ledger.audit.verify({ held: notes, files })).toMatchObject({ ok: true, findings: [], held: 5 })
  const forged = await changed(filtered, (text) => text.replace('"type":"Leased"', '"type":"Lapsed"'))
  expect(await ledger.audit.verify({ held: notes, files: [forged] })).toMatchObject({
    findings: [expect.objectContaining({ kind: 'record', message: expect.stringMatching(/which is held: Lapsed/) })],
  })
  await ledger.close()
})

test('wrong options, and a log without a checkpoint', async () => {
  const ledger = await openLedger({ url: 'memory:' })
  const to = join(world.folder, '..', 'nothing.ndjson')
  expect(await rejection(ledger.export({ to, since: 'x' }))).toMatchObject({ code: 'NOTE_UNREADABLE' })
  expect(await rejection(ledger.export({ to, since: notes[0] as string }))).toMatchObject({ code: 'PROOF_UNAVAILABLE' })
  expect(await ledger.export({ to })).toMatchObject({ proven: 'nothing', events: 0 })
  expect(await ours(to, [])).toMatchObject({ ok: true, proven: 'nothing' })
  await ledger.close()
})
