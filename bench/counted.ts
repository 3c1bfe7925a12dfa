/** A ledger whose store is listened to: how often a lease was recorded, and how often somebody else had been faster. */
import { systemClock } from '../adapters/node/clock.js'
import { currentJobScope } from '../adapters/node/current-job.js'
import { nodeDigest } from '../adapters/node/digest.js'
import { nodeHost } from '../adapters/node/host.js'
import { PooledIds } from '../adapters/node/ids.js'
import { openSqliteStore } from '../adapters/sqlite/event-store.js'
import { openSqliteViews } from '../adapters/sqlite/views.js'
import type { JobDefinition } from '../index.js'
import { Ledger } from '../runtime/ledger.js'
import type { AppendGroup, AppendOutcome, EventStore } from '../runtime/ports/event-store.js'
import type { Payload } from './workload.js'

export interface LeaseCounts {
  leases: number
  conflicts: number
}

/** As `openLedger` would, with a store that also counts. */
export async function openCounted(
  path: string,
  job: JobDefinition<Payload, void>,
  counts: LeaseCounts,
): Promise<Ledger> {
  const store = counted(await openSqliteStore(path, { durability: 'full' }), counts)
  const views = await openSqliteViews(`${path}-views`)
  const ids = new PooledIds(systemClock, (buffer) => void crypto.getRandomValues(buffer))
  const world = { clock: systemClock, ids, host: nodeHost, digest: nodeDigest, scope: currentJobScope }
  return Ledger.open({ store, views, ...world }, { jobs: [job as JobDefinition] })
}

/** Everything but `append` is the store's own. */
function counted(store: EventStore, counts: LeaseCounts): EventStore {
  const append = async (groups: readonly AppendGroup[]): Promise<AppendOutcome[]> => {
    const outcomes = await store.append(groups)
    for (const [index, { kind }] of outcomes.entries()) {
      const leases = groups[index]?.events.filter(({ type }) => type === 'Leased').length ?? 0
      if (kind === 'ok') counts.leases += leases
      if (kind === 'conflict') counts.conflicts += leases
    }
    return outcomes
  }
  return new Proxy(store, {
    get(target, key) {
      if (key === 'append') return append
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
