/** Several processes on one file: one that dies, one that stands still, one that is busy with itself. Real time. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import type { Ledger } from '../../runtime/ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Child } from './child.js'
import { startChild } from './child.js'
import { factsOf, next, typesOf } from './support.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 60_000 }

const hang = defineJob({ type: 'hang', handle: (_: null, { run, attempt }) => ({ run, attempt }) })
const spin = defineJob({ type: 'spin', handle: (_: null) => 'by the one that lives' })
const quick = defineJob({ type: 'quick', handle: (n: number) => n })

let folder: string
let ledger: Ledger
let child: Child
let release: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobledger-processes-'))
  release = join(folder, 'release')
  const url = `sqlite:${join(folder, 'jobs.db')}`
  ledger = await openLedger({ url, jobs: [hang, spin, quick] })
  child = await startChild(folder, url, release)
}, GUARD.timeout)

afterEach(async () => {
  await child.kill('SIGKILL')
  await ledger.close({ drain: 0, timeout: 0 })
  await rm(folder, { recursive: true, force: true })
}, GUARD.timeout)

/** A job that the other process has leased. */
async function leasedByChild(job: typeof hang | typeof spin, id: string): Promise<void> {
  const leased = next(ledger, id, 'Leased')
  await ledger.enqueue<null, unknown>(job, null, { id })
  await leased
}

describe('a process that is killed', () => {
  it('loses its leases at once, and its jobs run elsewhere without having spent an attempt', GUARD, async () => {
    const ids = ['a', 'b', 'c']
    for (const id of ids) await leasedByChild(hang, id)
    await ledger.start()
    const failed = Promise.all(ids.map((id) => next(ledger, id, 'Failed')))
    const again = next(ledger, 'a', 'Leased')
    const killedAt = Date.now()
    await child.kill('SIGKILL')
    for (const { at } of await failed) expect(at - killedAt).toBeLessThan(3_000)
    expect((await again).at - killedAt).toBeLessThan(3_000)
    for (const id of ids) {
      expect(await ledger.result(id)).toEqual({ run: 2, attempt: 1 })
      expect(await factsOf(ledger, id, 'Failed')).toMatchObject([
        { cause: 'lease-lost', body: { message: 'the worker process is gone' } },
      ])
    }
  })
})

describe('a process that is busy with a loop of its own', () => {
  it('costs no other process its jobs, loses its lease, and its late result is refused', GUARD, async () => {
    await leasedByChild(spin, 'stuck')
    await ledger.start({ lease: '1s' })
    for (let n = 0; n < 20; n += 1) expect(await (await ledger.enqueue(quick, n)).result()).toBe(n)
    expect(await ledger.result('stuck')).toBe('by the one that lives')
    await writeFile(release, '')
    expect(await child.said('outcome not recorded')).toMatchObject({ error: 'LEASE_LOST' })
    expect(await child.end()).toBe(0)
    const whole = ['Queued', 'Leased', 'Failed', 'Retried', 'Leased', 'Finished']
    expect(await typesOf(ledger, 'stuck')).toEqual(whole)
    expect(await ledger.result('stuck')).toBe('by the one that lives')
    const [lost] = await factsOf(ledger, 'stuck', 'Failed')
    expect(lost?.body).toMatchObject({ message: expect.stringMatching(/^no sign of life since/) })
  })
})
