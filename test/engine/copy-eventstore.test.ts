/** From and to a store that goes on showing what was removed, and appends to one stream at a time. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openEventStore } from '../../adapters/eventstore/event-store.js'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { systemClock } from '../../adapters/node/clock.js'
import { nodeDigest } from '../../adapters/node/digest.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { type Copied, copyLog } from '../../runtime/copy/copy.js'
import { storeSource } from '../../runtime/copy/source.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { collect } from '../conformance/event-store/harness.js'
import { freshLog } from '../support/eventstore/logs.js'
import { FakeEventStore } from '../support/eventstore/server.js'

const note = defineJob({ type: 'note', handle: (payload: unknown) => payload })
const batch = ['a', 'b', 'c'].map((id) => ({ job: note, payload: `secret of ${id}`, options: { id } }))

let fake: FakeEventStore
let folder: string
beforeAll(async () => {
  fake = await FakeEventStore.start()
  folder = await mkdtemp(join(tmpdir(), 'jobledger-copy-'))
})
afterAll(async () => {
  await fake.stop()
  await rm(folder, { recursive: true })
})

function copy(from: EventStore, to: EventStore): Promise<Copied> {
  return copyLog({
    from: storeSource(from),
    to,
    clock: systemClock,
    digest: nodeDigest,
    signal: new AbortController().signal,
  })
}

it('a batch that was made leaves no payload but that of its jobs, and all comes back the same way', async () => {
  const url = freshLog(fake.url())
  const ledger = await openLedger({ url: `${url}&views=${join(folder, 'views.db')}`, jobs: [note] })
  await ledger.start()
  await ledger.enqueueMany(batch)
  for (const { options } of batch) await ledger.result(options.id)
  await ledger.remove('b')
  await ledger.close()

  const source = await openEventStore(url)
  const target = new MemoryEventStore()
  const { hash, burnt } = await copy(source, target)
  expect(burnt).toBe(2) // the job and the batch
  expect(JSON.stringify(await collect(target.readAll({ bodies: true })))).not.toMatch(/secret of b|Batch/)
  // Once more, as after an interruption.
  expect(await copy(source, target)).toMatchObject({ written: 0, hash })

  const back = await openEventStore(freshLog(fake.url()))
  expect(await copy(target, back)).toMatchObject({ hash })
  await using copied = await openLedger({ store: target, jobs: [note] })
  expect(await copied.result('a')).toBe('secret of a')
  await expect(copied.status('b')).rejects.toMatchObject({ code: 'JOB_REMOVED' })
  await source.close()
  await back.close()
})
