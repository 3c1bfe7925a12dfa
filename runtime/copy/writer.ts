import type { NewEvent, RecordedEvent } from '../../domain/event.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { AppendGroup, AppendOutcome, EventStore, ExpectedRevision } from '../ports/event-store.js'
import { CopyImpossible, CopyTargetDiffers } from './errors.js'

/** Waits between tries of an append of which nobody knows what became, in ms. */
const WAITS = [100, 500, 1_000, 2_000, 5_000]

/** `taken` now, `burnt` before, or `there`: a stream that is in use. */
export type Taken = 'taken' | 'burnt' | 'there'

/** Appends what was recorded elsewhere, at the very revisions it had there. */
export class Writer {
  readonly #store: EventStore
  readonly #clock: Clock
  readonly #signal: AbortSignal

  constructor(store: EventStore, clock: Clock, signal: AbortSignal) {
    this.#store = store
    this.#clock = clock
    this.#signal = signal
  }

  /** In the order given, which is the order of their new positions. */
  async write(page: readonly RecordedEvent[]): Promise<void> {
    if (page.length === 0) return
    const groups = this.#store.capabilities.atomicGroups ? [page] : byStream(page)
    for (const events of groups) {
      const [outcome] = await this.#append([toGroup(events)])
      if (outcome?.kind === 'conflict') throw refusal(outcome, events)
    }
  }

  /** One new stream each. */
  async take(groups: readonly AppendGroup[]): Promise<Taken[]> {
    return (await this.#append(groups)).map((outcome) => {
      if (outcome.kind === 'ok') return 'taken'
      return outcome.kind === 'conflict' && outcome.actual === 'removed' ? 'burnt' : 'there'
    })
  }

  /** Only ok and conflict: what is unknown is asked again, until it is known. */
  async #append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    for (const wait of [...WAITS, undefined]) {
      const outcomes = await this.#store.append(groups)
      const failed = outcomes.find((outcome) => outcome.kind === 'unknown' || outcome.kind === 'rejected')
      if (failed === undefined) return outcomes
      if (failed.kind === 'rejected' || wait === undefined) throw failed.error
      await delay(this.#clock, wait, this.#signal)
    }
    return []
  }
}

/** Neighbours of one stream each, in order. */
function byStream(page: readonly RecordedEvent[]): RecordedEvent[][] {
  const runs: RecordedEvent[][] = []
  for (const event of page) {
    const run = runs.at(-1)
    if (run?.[0]?.stream === event.stream) run.push(event)
    else runs.push([event])
  }
  return runs
}

function toGroup(events: readonly RecordedEvent[]): AppendGroup {
  const expect = new Map<string, ExpectedRevision>()
  const reached = new Map<string, number>()
  for (const { stream, revision } of events) {
    if (!expect.has(stream)) expect.set(stream, revision === 0 ? 'none' : revision - 1)
    else if (reached.get(stream) !== revision - 1) throw gap(stream, reached.get(stream), revision)
    reached.set(stream, revision)
  }
  return { expect, events: events.map(toNew) }
}

function toNew({ revision, position, ...event }: RecordedEvent): NewEvent {
  return event
}

function refusal(
  { stream, actual }: AppendOutcome & { readonly kind: 'conflict' },
  events: readonly RecordedEvent[],
): Error {
  const first = events.find((event) => event.stream === stream)?.revision ?? 0
  if (actual === 'none') return gap(stream, undefined, first)
  return new CopyTargetDiffers(
    `The target is written to by somebody else: expected '${stream}' to end before revision ${first}, it is at ${actual}.`,
  )
}

function gap(stream: string, reached: number | undefined, revision: number): CopyImpossible {
  const before = reached === undefined ? 'begins' : `goes on after revision ${reached}`
  return new CopyImpossible(
    `'${stream}' ${before} at revision ${revision}: events before it were taken out or cannot be read, and no other log can be given the others.`,
  )
}
