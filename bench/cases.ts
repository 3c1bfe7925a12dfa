/** Every case by name, and every task that one of them runs in a process of its own. */
import { archive, archiveCase } from './archive.js'
import { asOf, asOfCase } from './as-of.js'
import { auditCase, auditSteady, auditWhole } from './audit.js'
import { backlogCase } from './backlog.js'
import type { Bench } from './bench.js'
import { drain, drainCase } from './drain.js'
import {
  enqueueBulk,
  enqueueBulkCase,
  enqueueConcurrent,
  enqueueConcurrentCase,
  enqueueSingle,
  enqueueSingleCase,
} from './enqueue.js'
import type { Figure } from './figure.js'
import { fleetConflictsCase, fleetDrain, fleetDrainCase } from './fleet-drain.js'
import { fleetIdle, fleetIdleCase } from './fleet-idle.js'
import { fleetWakeCase, wakeCaller, wakeListener } from './fleet-wake.js'
import { floor } from './floor.js'
import { heartbeats, heartbeatsCase } from './heartbeats.js'
import { history } from './history.js'
import { latency, latencyCase } from './latency.js'
import { open, openCase } from './open.js'
import { reportsCase, reportsDrain, reportsSteady } from './read-models.js'
import { readOnly, replay, replayCase } from './replay.js'
import { searchCase, searches } from './search.js'
import { storeBulk, storeSingle } from './stores/enqueue.js'
import { eventStoreFloor, postgresFloor } from './stores/floors.js'
import type { Message, Task } from './task.js'
import {
  triggersAdd,
  triggersDue,
  triggersDueCase,
  triggersIdle,
  triggersIdleCase,
  triggersLate,
  triggersLateCase,
} from './triggers.js'
import { prepare } from './workload.js'

export const CASES: ReadonlyMap<string, (bench: Bench) => Promise<Figure[]>> = new Map([
  ['drain', drainCase],
  ['enqueue-bulk', enqueueBulkCase],
  ['enqueue-single', enqueueSingleCase],
  ['enqueue-concurrent', enqueueConcurrentCase],
  ['latency', latencyCase],
  ['replay', replayCase],
  ['as-of', asOfCase],
  ['archive', archiveCase],
  ['audit', auditCase],
  ['open', openCase],
  ['backlog', backlogCase],
  ['fleet-drain', fleetDrainCase],
  ['fleet-conflicts', fleetConflictsCase],
  ['fleet-idle', fleetIdleCase],
  ['fleet-wake', fleetWakeCase],
  ['heartbeats', heartbeatsCase],
  ['triggers-idle', triggersIdleCase],
  ['triggers-due', triggersDueCase],
  ['triggers-late', triggersLateCase],
  ['reports', reportsCase],
  ['search', searchCase],
])

export const TASKS: readonly Task<never, Message>[] = [
  prepare,
  drain,
  floor,
  enqueueBulk,
  enqueueSingle,
  enqueueConcurrent,
  latency,
  history,
  replay,
  readOnly,
  asOf,
  archive,
  auditSteady,
  auditWhole,
  open,
  fleetDrain,
  fleetIdle,
  wakeCaller,
  wakeListener,
  heartbeats,
  triggersIdle,
  triggersDue,
  triggersAdd,
  triggersLate,
  reportsSteady,
  reportsDrain,
  searches,
  storeBulk,
  storeSingle,
  postgresFloor,
  eventStoreFloor,
]
