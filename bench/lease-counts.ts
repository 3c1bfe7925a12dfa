/** How often a lease was recorded in this process, and how often somebody else had been faster. */
import type { AppendGroup, AppendOutcome, EventStore } from '../runtime/ports/event-store.js'

export interface LeaseCounts {
  leases: number
  conflicts: number
}

let counts: LeaseCounts | undefined

/** From now on, of every store of this process like the one of `place`: what appends come to is looked at on its way out. */
export async function countLeases(place: string): Promise<LeaseCounts> {
  if (counts !== undefined) return counts
  counts = { leases: 0, conflicts: 0 }
  watch(await prototypeOf(place), counts)
  return counts
}

/** Only that of the store in use is loaded. */
async function prototypeOf(place: string): Promise<EventStore> {
  if (place.startsWith('postgres'))
    return (await import('../adapters/postgres/event-store.js')).PostgresEventStore.prototype
  if (place.startsWith('esdb'))
    return (await import('../adapters/eventstore/event-store.js')).EventStoreDBStore.prototype
  return (await import('../adapters/sqlite/event-store.js')).SqliteEventStore.prototype
}

function watch(store: EventStore, counts: LeaseCounts): void {
  const { append } = store
  store.append = async function (groups) {
    const outcomes = await append.call(this, groups)
    for (const [index, outcome] of outcomes.entries()) add(counts, groups[index], outcome)
    return outcomes
  }
}

function add(counts: LeaseCounts, group: AppendGroup | undefined, { kind }: AppendOutcome): void {
  const leases = group?.events.filter(({ type }) => type === 'Leased').length ?? 0
  if (kind === 'ok') counts.leases += leases
  if (kind === 'conflict') counts.conflicts += leases
}
