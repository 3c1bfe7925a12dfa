/** What every open ledger sees to, whether it runs jobs or not. */
import type { Queries } from '../read/queries.js'
import { Bell } from './bell.js'
import { Cascade } from './cascade.js'
import type { CompleterOptions } from './completer.js'
import { Completer } from './completer.js'
import { LateEdges } from './late-edges.js'
import type { ReaperOptions } from './reaper.js'
import { Reaper } from './reaper.js'
import type { Duty } from './supervisor.js'

export interface StandingDutiesOptions extends ReaperOptions {
  readonly queries: Queries
  /** Where the store appends to one stream at a time: what may be left half done. */
  readonly halfDone: Pick<CompleterOptions, 'appends' | 'departures'> | undefined
}

export function standingDuties({ queries, halfDone, ...options }: StandingDutiesOptions): Duty[] {
  const { feed, journal } = options
  const { board } = feed
  const bell = new Bell()
  feed.pages$.subscribe(() => {
    if (board.doomed.size > 0) bell.ring()
  })
  const cascade = new Cascade(board, journal, bell)
  const reaper = new Reaper(options)
  const duties: Duty[] = [
    { name: 'cascade', run: (signal) => cascade.run(signal) },
    { name: 'reaper', run: (signal) => reaper.run(signal) },
  ]
  if (halfDone === undefined) return duties
  const completer = new Completer({ ...options, ...halfDone })
  const edges = new LateEdges({ feed, queries, journal })
  return [
    ...duties,
    { name: 'completer', run: (signal) => completer.run(signal) },
    { name: 'late-edges', run: (signal) => edges.run(signal) },
  ]
}
