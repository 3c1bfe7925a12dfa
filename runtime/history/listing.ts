/** A page of jobs as of then: the views know which jobs there are, the log how each of them stood. */
import { fromRow, placeAt } from '../../projections/job-row.js'
import type { LedgerState } from '../../projections/ledger-state.js'
import type { LogReader } from '../ports/event-store.js'
import type { JobRow } from '../ports/views.js'
import type { ListFilter } from '../read/listing.js'
import { SLICE, toRowFilter } from '../read/listing.js'
import type { JobPage, JobSummary, Queries } from '../read/queries.js'
import { readLife, summaryOf } from '../read/status.js'
import type { Place } from './moment.js'

interface World {
  readonly queries: Queries
  readonly log: LogReader
  readonly place: Place
  readonly whole: () => Promise<LedgerState>
}

export async function listAsOf(world: World, filter: ListFilter): Promise<JobPage> {
  const { rows: asked, states, limit } = toRowFilter(filter)
  // Of what a row says only this does not change with time.
  const { types, queues, channels, triggers } = asked
  const wanted = {
    ...(types && { types }),
    ...(queues && { queues }),
    ...(channels && { channels }),
    ...(triggers && { triggers }),
  }
  let before = earlier(filter.cursor, placeAt(world.place.at + 1))
  const jobs: JobSummary[] = []
  let cursor = ''
  for (;;) {
    const rows = await world.queries.rows({ ...wanted, before, limit: SLICE })
    for (const row of rows) {
      before = row.place
      const summary = await summaryThen(world, row)
      if (summary === undefined || (states !== undefined && !states.has(summary.state))) continue
      if (jobs.length === limit) return { jobs, cursor }
      jobs.push(summary)
      cursor = row.place
    }
    if (rows.length < SLICE) return { jobs }
  }
}

const earlier = (cursor: string | undefined, place: string): string =>
  cursor === undefined || cursor > place ? place : cursor

/** Undefined: it had not come. */
async function summaryThen({ log, place, whole }: World, row: JobRow): Promise<JobSummary | undefined> {
  const now = fromRow(row.state)
  // Nothing has happened to it since it ended.
  if (now.phase === 'ended' && now.endedAt < place.at) return summaryOf(now, false, place.at)
  const life = await readLife(log, row.id, place.position)
  if (life === undefined) return undefined
  const { state } = life
  const isWaiting = state.phase === 'waiting' && state.dependsOn.length > 0
  return summaryOf(state, isWaiting && (await whole()).board.graph.isBlocked(row.id), place.at)
}
