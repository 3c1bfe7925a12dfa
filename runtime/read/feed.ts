import type { Observable } from 'rxjs'
import { Subject } from 'rxjs'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { Rest } from '../../domain/batch/events.js'
import { evolveClaim } from '../../domain/claim/claim.js'
import type { ClaimEvent } from '../../domain/claim/events.js'
import { claimTypeOf } from '../../domain/claim/events.js'
import type { Position, RecordedEvent } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import type { JobEvent } from '../../domain/job/events.js'
import { isJobStream, jobIdOf, NAME_TAKEN } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { QueueEvent } from '../../domain/queue/events.js'
import { isQueueStream, queueOf } from '../../domain/queue/events.js'
import type { QueueState } from '../../domain/queue/evolve.js'
import { evolveQueue } from '../../domain/queue/evolve.js'
import type { TriggerEvent } from '../../domain/trigger/events.js'
import { isTriggerStream, triggerIdOf } from '../../domain/trigger/events.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import { evolveTrigger } from '../../domain/trigger/evolve.js'
import { upcast } from '../../domain/upcast.js'
import type { WorkerEvent } from '../../domain/worker/events.js'
import { isWorkerStream, workerIdOf } from '../../domain/worker/events.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import { evolveWorker } from '../../domain/worker/evolve.js'
import type { JobBoard, JobChange } from '../../projections/job-board.js'
import type { LeavingJobs } from '../../projections/leaving-jobs.js'
import { LedgerState } from '../../projections/ledger-state.js'
import type { OpenGroups } from '../../projections/open-groups.js'
import type { QueueRegistry } from '../../projections/queue-registry.js'
import type { TriggerRegistry } from '../../projections/trigger-registry.js'
import type { WorkerRegistry } from '../../projections/worker-registry.js'
import type { Clock } from '../ports/clock.js'
import type { EventStore } from '../ports/event-store.js'
import type { Logger } from '../ports/logger.js'
import type { Memory, StreamState } from '../write/command.js'

/** Live pages whose lag is remembered. */
const LAGS = 256

interface Awaiting {
  readonly position: Position
  readonly resolve: () => void
}

/**
 * The one subscription of a runtime: folds every event into the projections and tells who listens. Nothing else folds.
 */
export class Feed implements Memory {
  #state = this.#nothing()
  readonly #store: EventStore
  readonly #clock: Clock
  readonly #log: Logger
  readonly #events = new Subject<RecordedEvent>()
  readonly #changes = new Subject<JobChange>()
  readonly #pages = new Subject<void>()
  #position: Position = START
  #last: RecordedEvent | undefined
  #awaiting: Awaiting[] = []
  #caughtUp = false
  #skipped = 0
  readonly #lags = new Float64Array(LAGS)
  #lagCount = 0

  constructor(options: { readonly store: EventStore; readonly clock: Clock; readonly logger: Logger }) {
    this.#store = options.store
    this.#clock = options.clock
    this.#log = options.logger
  }

  /** Every event as it is folded, after the projections have it. Bodies only of this process's own. */
  get events$(): Observable<RecordedEvent> {
    return this.#events
  }

  /** What each event did to its job; of a removal that was read before the job's end: that it has ended. */
  get changes$(): Observable<JobChange> {
    return this.#changes
  }

  /** Once per page folded: time to look whether there is something to do. */
  get pages$(): Observable<void> {
    return this.#pages
  }

  get state(): LedgerState {
    return this.#state
  }

  get board(): JobBoard {
    return this.#state.board
  }

  get workers(): WorkerRegistry {
    return this.#state.workers
  }

  get queues(): QueueRegistry {
    return this.#state.queues
  }

  get triggers(): TriggerRegistry {
    return this.#state.triggers
  }

  /** What was decided and is not done yet: only on a store that appends to one stream at a time. */
  get groups(): OpenGroups {
    return this.#state.groups
  }

  get leaving(): LeavingJobs {
    return this.#state.leaving
  }

  get position(): Position {
    return this.#position
  }

  /** The event at `position`, unless nothing was folded since the checkpoint that this feed started from. */
  get last(): RecordedEvent | undefined {
    return this.#last
  }

  /** Events that could not be folded; each is logged. */
  get skipped(): number {
    return this.#skipped
  }

  /** Forgets what was restored. Before anything was folded, and before anybody has asked for a projection. */
  startOver(): void {
    this.#state = this.#nothing()
    this.#position = START
  }

  #nothing(): LedgerState {
    return new LedgerState((change) => this.#changes.next(change))
  }

  /** Starts after a checkpoint whose rows the caller has restored. */
  resumeAfter(position: Position): void {
    this.#position = position
    this.#state.board.caughtUp(position)
  }

  /**
   * Follows the log until `signal` aborts. Fails with the store's error; may then be run again and goes on where it was.
   * `afterCatchUpPage` may hold it up until the end of the log is first reached; after that nothing does.
   */
  async run(signal: AbortSignal, afterCatchUpPage?: () => Promise<void> | undefined): Promise<void> {
    for await (const batch of this.#store.subscribe({ after: this.#position, signal })) {
      if (batch.kind === 'events') this.#fold(batch.events)
      else this.#reachEnd(batch.position)
      this.#advance(batch.position)
      const pause = this.#caughtUp ? undefined : afterCatchUpPage?.()
      if (pause !== undefined) await pause
    }
  }

  #reachEnd(position: Position): void {
    this.#caughtUp = true
    this.#state.board.caughtUp(position)
  }

  #fold(events: readonly RecordedEvent[]): void {
    const now = this.#clock.now()
    for (const event of events) {
      this.#position = event.position
      if (event.type === NAME_TAKEN) continue
      this.#foldOne(event, now)
      this.#last = event
    }
    if (this.#caughtUp && this.#last !== undefined) {
      this.#lags[this.#lagCount % LAGS] = Math.max(0, now - this.#last.at)
      this.#lagCount += 1
    }
  }

  /** p99 of the time (ms) from a decision, here or elsewhere, to its fold here, of the latest pages. */
  lag(): number {
    const known = this.#lags.slice(0, Math.min(this.#lagCount, LAGS)).sort()
    return known[Math.floor(known.length * 0.99)] ?? 0
  }

  /** One bad event must not stop the engine: it is left out, counted and reported. */
  #foldOne(recorded: RecordedEvent, now: number): void {
    let event = recorded
    try {
      event = upcast(recorded)
      this.#state.apply(event, now)
    } catch (error) {
      this.#skipped += 1
      const { stream, revision, position, type } = event
      this.#log.error({ err: error, stream, revision, position, type }, 'event skipped: it does not fit its stream')
      return
    }
    this.#events.next(event)
  }

  #advance(position: Position): void {
    this.#position = position
    while (this.#awaiting.length > 0 && (this.#awaiting[0] as Awaiting).position <= position) {
      ;(this.#awaiting.shift() as Awaiting).resolve()
    }
    if (this.#caughtUp) this.#pages.next()
  }

  reached(position: Position): Promise<void> | undefined {
    if (position <= this.#position) return undefined
    return new Promise((resolve) => {
      const index = this.#awaiting.findIndex((other) => other.position > position)
      this.#awaiting.splice(index === -1 ? this.#awaiting.length : index, 0, { position, resolve })
    })
  }

  /**
   * Whether a run that is named by an event at `position` may still be going on: it is unless it was seen to end, and was not
   * seen to if that event was not. undefined: that event is only decided yet.
   */
  isHeld(token: string, position: Position | undefined): boolean {
    const isSeen = position !== undefined && position <= this.#position
    return this.board.leased.has(token) || !isSeen || this.groups.isTaking(token)
  }

  /** Of something that was decided, whether all of it is there, as far as this event says. */
  isDone(event: RecordedEvent, rest: Rest): boolean {
    return event.position <= this.#position && !this.groups.isOpen(event, rest)
  }

  endSaysAll(stream: string): boolean {
    return stream === AUDIT_STREAM || claimTypeOf(stream) !== undefined
  }

  recall(stream: string): StreamState | undefined {
    if (isJobStream(stream)) return this.board.get(jobIdOf(stream))
    if (isQueueStream(stream)) return this.queues.get(queueOf(stream))
    if (isTriggerStream(stream)) return this.triggers.get(triggerIdOf(stream))
    return isWorkerStream(stream) ? this.workers.get(workerIdOf(stream)) : undefined
  }

  /** A trigger that fires each second has as many events as seconds. */
  readsOn(stream: string): StreamState | undefined {
    return isTriggerStream(stream) ? this.triggers.get(triggerIdOf(stream)) : undefined
  }

  evolve(state: StreamState | undefined, recorded: RecordedEvent): StreamState {
    const event = upcast(recorded)
    const { stream } = event
    if (isJobStream(stream)) return evolve(state as JobState | undefined, event as RecordedEvent & JobEvent)
    if (isQueueStream(stream)) return evolveQueue(state as QueueState | undefined, event as RecordedEvent & QueueEvent)
    if (isWorkerStream(stream))
      return evolveWorker(state as WorkerState | undefined, event as RecordedEvent & WorkerEvent)
    if (isTriggerStream(stream))
      return evolveTrigger(state as TriggerState | undefined, event as RecordedEvent & TriggerEvent)
    if (claimTypeOf(stream) !== undefined) return evolveClaim(state, event as RecordedEvent & ClaimEvent)
    return { revision: event.revision ?? (state === undefined ? 0 : state.revision + 1) }
  }

  /** Ends what listens. */
  close(): void {
    for (const { resolve } of this.#awaiting.splice(0)) resolve()
    for (const subject of [this.#events, this.#changes, this.#pages]) subject.complete()
  }
}
