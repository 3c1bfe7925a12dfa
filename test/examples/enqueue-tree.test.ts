import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Manifest } from '../../examples/manifest/jobs.js'
import { defineWrite, digest, manifest } from '../../examples/manifest/jobs.js'
import type { Planned } from '../../examples/manifest/plan.js'
import { Planner } from '../../examples/manifest/plan.js'
import type { Run } from '../../examples/manifest/run.js'
import { enqueueTree } from '../../examples/manifest/run.js'
import type { File, Folder } from '../../examples/manifest/scan.js'
import { scan } from '../../examples/manifest/scan.js'
import type { Ledger } from '../../index.js'
import { openLedger } from '../../index.js'
import { temporaryFolder } from './manifest-program.js'

const GUARD = 60_000
const { signal } = new AbortController()

interface Workshop {
  readonly ledger: Ledger
  readonly folder: string
  readonly out: string
  scan(): Promise<Folder>
  enqueue(tree: Folder): Promise<Run>
}

/** The example without its program: a ledger in memory whose work begins when the test says so. */
async function workshop(): Promise<Workshop> {
  const root = temporaryFolder()
  const [folder, out] = [join(root, 'tree'), join(root, 'sums')]
  mkdirSync(folder)
  const write = defineWrite((id) => ledger.result(id) as Promise<Manifest>)
  const ledger: Ledger = await openLedger({ url: 'memory:', jobs: [digest, manifest, write] })
  onTestFinished(() => ledger.close())
  return {
    ledger,
    folder,
    out,
    scan: () => scan(folder, { leaveOut: new Set(), signal }),
    enqueue: (tree) => enqueueTree(ledger, tree, { folder, out, write, signal, onEnqueued: () => {} }),
  }
}

test('a file that vanishes between scan and digest is reported, and all others are in the manifest', async () => {
  const { ledger, folder, out, scan, enqueue } = await workshop()
  for (const name of ['stays', 'vanishes']) writeFileSync(join(folder, name), name)
  const tree = await scan()
  rmSync(join(folder, 'vanishes'))
  const { write, top } = await enqueue(tree)
  await ledger.start()
  expect(await write.result()).toEqual({ files: 1, bytes: 5, failed: 1, skipped: 0 })
  const { lines } = (await ledger.result(top)) as Manifest
  const [, vanished] = lines as [unknown, { failed: string }]
  expect(await ledger.status(vanished.failed)).toMatchObject({ state: 'failed', attempt: 3, name: 'vanishes' })
  expect(readFileSync(out, 'utf8')).toMatch(/^[0-9a-f]{64} {2}stays\n$/)
})

test('a file that changes between scan and digest is not passed off as what the scan saw', async () => {
  const { ledger, folder, scan, enqueue } = await workshop()
  writeFileSync(join(folder, 'file'), 'before')
  const tree = await scan()
  writeFileSync(join(folder, 'file'), 'after it')
  const { write } = await enqueue(tree)
  await ledger.start()
  expect(await write.result()).toMatchObject({ files: 0, failed: 1 })
  expect((await ledger.list({ type: 'digest' })).jobs).toMatchObject([{ state: 'failed', error: 'Error' }])
})

test('jobs that an earlier run left undone are cancelled when their file has changed', async () => {
  const { ledger, folder, scan, enqueue } = await workshop()
  for (const name of ['same', 'changes']) writeFileSync(join(folder, name), name)
  const before = await enqueue(await scan())
  writeFileSync(join(folder, 'changes'), 'to something longer')
  const after = await enqueue(await scan())

  const cancelled = (await ledger.list({ state: 'cancelled' })).jobs.map(({ type }) => type).sort()
  expect(cancelled).toEqual(['digest', 'manifest', 'write'])
  expect((await ledger.list({ state: 'ready' })).jobs.map(({ name }) => name).sort()).toEqual(['changes', 'same'])
  await ledger.start()
  await expect(before.write.result()).rejects.toThrow('has changed or vanished')
  expect(await after.write.result()).toMatchObject({ files: 2, failed: 0 })
})

test('what was cancelled is done after all when the folder is again as it was', async () => {
  const { ledger, folder, scan, enqueue } = await workshop()
  writeFileSync(join(folder, 'file'), '')
  await enqueue(await scan())
  const tree = await scan()
  await enqueue({ ...tree, entries: [] })
  const { write } = await enqueue(tree)
  await ledger.start()
  expect(await write.result()).toMatchObject({ files: 1, failed: 0 })
})

function fileOf(index: number): File {
  // The longest name there is, of bytes that take the most room in JSON.
  const name = String(index).padStart(255, '\u0001')
  return { kind: 'file', name, path: name, size: 0, mtimeMs: 0 }
}

function planOf(entries: Folder['entries']): Planned {
  const planner = new Planner({ folder: '/folder', queue: 'queue', spent: new Set() })
  return planner.folder({ kind: 'folder', name: '', path: 'p'.repeat(4_095), entries })
}

test.each([0, 1, 500, 501, 10_000])(
  'a folder of %i files fits into payloads and results of 1 MiB',
  { timeout: GUARD },
  (count) => {
    const pending = [planOf(Array.from({ length: count }, (_, index) => fileOf(index)))]
    let digests = 0
    for (let job = pending.pop(); job !== undefined; job = pending.pop()) {
      if (job.job === digest) digests += 1
      expect(job.needs.length).toBeLessThanOrEqual(500)
      const { path, entries } = { path: '', entries: [], ...(job.payload as object) } as {
        path: string
        entries: object[]
      }
      const result = { path, lines: entries.map((entry) => ({ ...entry, sha256: 'f'.repeat(64) })) }
      expect(JSON.stringify(result).length).toBeLessThan(1_048_000)
      pending.push(...job.needs)
    }
    expect(digests).toBe(count)
  },
)
