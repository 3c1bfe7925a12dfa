/** Golden files: recorded events as a past version wrote them, and what they mean. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { evolveClaim } from '../../domain/claim/claim.js'
import type { ClaimEvent } from '../../domain/claim/events.js'
import { claimTypeOf } from '../../domain/claim/events.js'
import type { Body, ErasedBody, RecordedEvent } from '../../domain/event.js'
import type { JobEvent } from '../../domain/job/events.js'
import { isJobStream, jobIdOf } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { TriggerEvent } from '../../domain/trigger/events.js'
import { isTriggerStream, triggerIdOf } from '../../domain/trigger/events.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import { evolveTrigger } from '../../domain/trigger/evolve.js'
import { upcast } from '../../domain/upcast.js'
import type { WorkerEvent } from '../../domain/worker/events.js'
import { isWorkerStream, workerIdOf } from '../../domain/worker/events.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import { evolveWorker } from '../../domain/worker/evolve.js'
import { attemptsOf } from '../../projections/attempts.js'
import type { JobBoard } from '../../projections/job-board.js'
import { LedgerState } from '../../projections/ledger-state.js'
import type { TriggerRegistry } from '../../projections/trigger-registry.js'

/** One line: a recorded event, its bytes as text. An erased body has left a hash. */
interface Line extends Omit<RecordedEvent, 'body'> {
  readonly body?: string
  /** Of the body, hex. */
  readonly salt?: string
  /** Hex. */
  readonly hash?: string
}

const urlOf = (file: string): URL => new URL(file, import.meta.url)

/** Names of the scenarios of one version, as `v1/retries`. */
export function scenarios(version: string): string[] {
  const files = readdirSync(fileURLToPath(urlOf(`${version}/`)))
  return files
    .filter((file) => file.endsWith('.ndjson'))
    .map((file) => `${version}/${file.slice(0, -'.ndjson'.length)}`)
}

export function readEvents(scenario: string): RecordedEvent[] {
  const lines = readFileSync(urlOf(`${scenario}.ndjson`), 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => toEvent(JSON.parse(line) as Line))
}

/** What the log of a scenario meant to the version that wrote it, null where there was nothing. */
export function readState(scenario: string): Meaning {
  return JSON.parse(readFileSync(urlOf(`${scenario}.state.json`), 'utf8')) as Meaning
}

type Meaning = Readonly<Record<string, unknown>>

/** The same with null also where the kept one has null: a field that is undefined and one that is left out say the same. */
export function besides(meaning: unknown, kept: unknown): unknown {
  if (meaning === undefined && kept === null) return null
  if (!isParted(meaning) || !isParted(kept)) return meaning
  if (Array.isArray(meaning)) return meaning.map((part, index) => besides(part, kept[index]))
  const keys = new Set([...Object.keys(meaning), ...Object.keys(kept).filter((key) => kept[key] === null)])
  return Object.fromEntries([...keys].map((key) => [key, besides(meaning[key], kept[key])]))
}

const isParted = (value: unknown): value is Meaning => typeof value === 'object' && value !== null

function toEvent({ body, salt, hash, ...event }: Line): RecordedEvent {
  const kept = toBody(body, salt, hash)
  return kept === undefined ? event : { ...event, body: kept }
}

function toBody(content?: string, salt?: string, hash?: string): Body | ErasedBody | undefined {
  if (hash !== undefined) return { hash: Buffer.from(hash, 'hex') }
  return content === undefined ? undefined : { salt: Buffer.from(salt as string, 'hex'), content }
}

/** All that a log says, told by the folds and projections of today, as JSON has it. */
export function meaningOf(recorded: readonly RecordedEvent[]): Meaning {
  const events = recorded.map((event) => upcast(event))
  const now = events.at(-1)?.at ?? 0
  const jobs = new Map<string, JobState>()
  const workers = new Map<string, WorkerState>()
  const triggers = new Map<string, TriggerState>()
  const claims = new Map<string, ReturnType<typeof evolveClaim>>()
  const ledger = new LedgerState()
  for (const event of events) {
    ledger.apply(event, now)
    if (isJobStream(event.stream)) {
      const id = jobIdOf(event.stream)
      jobs.set(id, evolve(jobs.get(id), event as RecordedEvent & JobEvent))
    }
    if (claimTypeOf(event.stream) !== undefined) {
      claims.set(event.stream, evolveClaim(claims.get(event.stream), event as RecordedEvent & ClaimEvent))
    }
    if (isTriggerStream(event.stream)) {
      const id = triggerIdOf(event.stream)
      triggers.set(id, evolveTrigger(triggers.get(id), event as RecordedEvent & TriggerEvent))
    }
    if (isWorkerStream(event.stream)) {
      const id = workerIdOf(event.stream)
      workers.set(id, evolveWorker(workers.get(id), event as RecordedEvent & WorkerEvent))
    }
  }
  const { board, workers: registry, queues, triggers: scheduled, groups, leaving } = ledger
  const attempts = [...jobs.values()].map(({ id }) => [id, attemptsOf(ofJob(events, id))])
  return asJson({
    jobs: Object.fromEntries(jobs),
    attempts: Object.fromEntries(attempts),
    board: boardReading(board, now),
    workers: Object.fromEntries(workers),
    claims: Object.fromEntries(claims),
    present: [...registry.workers.keys()].sort(),
    queues: queues.toJSON(),
    byType: board.stats.toSave(),
    triggers: Object.fromEntries(triggers),
    scheduled: scheduledReading(scheduled, now),
    halfDone: { groups: groups.toJSON(), leaving: leaving.toJSON() },
  })
}

/** What is to be done about triggers, and what is told of them. */
function scheduledReading(registry: TriggerRegistry, now: number): object {
  const { triggers, ...saved } = registry.toJSON()
  return {
    ...{ ...saved, present: triggers.map(({ id }) => id).sort() },
    ...{ due: [...registry.due(now)].map(({ id }) => id).sort(), next: registry.nextDeadline() },
  }
}

const ofJob = (events: readonly RecordedEvent[], id: string): RecordedEvent[] =>
  events.filter(({ stream }) => isJobStream(stream) && jobIdOf(stream) === id)

/** What may run next, and why the rest may not. Empties the pending index. */
function boardReading(board: JobBoard, now: number): object {
  board.pending.promoteDue(now)
  const live = idsOf(board.jobs)
  return {
    live,
    leased: idsOf(board.leased.values()),
    blocked: live.filter((id) => board.graph.isBlocked(id)),
    doomed: Object.fromEntries(board.doomed),
    runningByKey: Object.fromEntries(keysOf(board).map((key) => [key, board.keys.running(key)])),
    ready: drain(board, false),
    suspects: drain(board, true),
    totals: board.stats.toJSON(),
  }
}

const keysOf = (board: JobBoard): string[] =>
  [...board.jobs].map(({ rare }) => rare?.concurrency?.key).filter((key) => key !== undefined)

const idsOf = (jobs: Iterable<JobState>): string[] => [...jobs].map(({ id }) => id).sort()

/** In the order in which they would run. */
function drain({ pending }: JobBoard, suspects: boolean): string[] {
  const taken: string[] = []
  for (
    let job = pending.take(pending.lanes, { suspects });
    job !== undefined;
    job = pending.take(pending.lanes, { suspects })
  )
    taken.push(job.id)
  return taken
}

const asJson = (value: object): Meaning => JSON.parse(JSON.stringify(value)) as Meaning
