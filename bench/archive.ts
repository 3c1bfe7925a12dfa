/** Everything in a ledger is archived; then the file is compacted, and the whole is read as one. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { openLedger } from '../adapters/open-ledger.js'
import { SqliteMaintenance } from '../adapters/sqlite/maintenance.js'
import type { Bench } from './bench.js'
import type { Figure } from './figure.js'
import { figure } from './figure.js'
import { history, LIFE } from './history.js'
import type { Task } from './task.js'
import { verify } from './task.js'
import { collectGarbage, noopJob } from './workload.js'

type Archived = {
  readonly jobs: number
  readonly seconds: number
  readonly bytes: {
    readonly before: number
    readonly after: number
    readonly compacted: number
    readonly archive: number
  }
  readonly historyMs: number
  readonly read: { readonly events: number; readonly seconds: number }
}

const sizeOf = (path: string): number =>
  ['', '-wal'].reduce((sum, end) => sum + (statSync(path + end, { throwIfNoEntry: false })?.size ?? 0), 0)

export const archive: Task<{ path: string; jobs: number }, Archived> = {
  name: 'archive',
  async work({ path, jobs }) {
    const ledger = await openLedger({ url: `sqlite:${path}`, jobs: [noopJob()], scheduler: false })
    const { jobs: some } = await ledger.list({ limit: 1 })
    const before = sizeOf(path)
    collectGarbage()
    const began = performance.now()
    const report = await ledger.archive.run({ before: 0 })
    const seconds = (performance.now() - began) / 1_000
    verify(report.jobs >= jobs, `${report.jobs} of ${jobs} jobs were archived`)
    const asked = performance.now()
    const told = await ledger.history(some[0]?.id ?? '')
    const historyMs = performance.now() - asked
    verify(told.length > LIFE, `an archived job has ${told.length} events`)
    const reading = performance.now()
    let events = 0
    for await (const event of ledger.replay()) events += event.type === '' ? 0 : 1
    const read = { events, seconds: (performance.now() - reading) / 1_000 }
    verify(events >= jobs * LIFE, `${events} events were read of ${jobs * LIFE}`)
    await ledger.close()
    const after = sizeOf(path)
    const { after: compacted } = await new SqliteMaintenance(path).compact()
    const folder = `${path}-archive`
    const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
    return { jobs: report.jobs, seconds, bytes: { before, after, compacted, archive: bytes }, historyMs, read }
  },
}

export async function archiveCase(bench: Bench): Promise<Figure[]> {
  const path = bench.file('archive')
  const jobs = bench.size(100_000, 1_000)
  await bench.run(history, { path, finished: jobs, pending: 0 })
  const { seconds, bytes, historyMs, read, ...done } = await bench.run(archive, { path, jobs })
  const mib = (size: number): number => Number((size / 1024 ** 2).toFixed(1))
  return [
    figure({
      name: 'archive',
      rate: done.jobs / seconds,
      unit: 'jobs/s',
      target: {},
      goal: {},
      extra: {
        'MiB before': mib(bytes.before),
        'MiB after': mib(bytes.after),
        'MiB compacted': mib(bytes.compacted),
        'MiB archive': mib(bytes.archive),
        'history ms': Math.round(historyMs),
      },
    }),
    figure({
      name: 'archive-read',
      rate: read.events / read.seconds,
      unit: 'events/s',
      target: {},
      goal: {},
      extra: { events: read.events },
    }),
  ]
}
