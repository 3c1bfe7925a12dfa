/** How often a lease was recorded in this process, and how often somebody else had been faster. */
import { SqliteEventStore } from '../adapters/sqlite/event-store.js'
import type { AppendGroup, AppendOutcome } from '../runtime/ports/event-store.js'

export interface LeaseCounts {
  leases: number
  conflicts: number
}

let counts: LeaseCounts | undefined

/** From now on, of every store of this process: what appends come to is looked at on its way out. */
export function countLeases(): LeaseCounts {
  if (counts !== undefined) return counts
  counts = { leases: 0, conflicts: 0 }
  const { append } = SqliteEventStore.prototype
  SqliteEventStore.prototype.append = async function (groups) {
    const outcomes = await append.call(this, groups)
    for (const [index, outcome] of outcomes.entries()) add(counts as LeaseCounts, groups[index], outcome)
    return outcomes
  }
  return counts
}

function add(counts: LeaseCounts, group: AppendGroup | undefined, { kind }: AppendOutcome): void {
  const leases = group?.events.filter(({ type }) => type === 'Leased').length ?? 0
  if (kind === 'ok') counts.leases += leases
  if (kind === 'conflict') counts.conflicts += leases
}
