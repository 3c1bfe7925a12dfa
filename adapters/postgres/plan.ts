/**
 * What one `append` statement is asked to do: every stream is where its group believes it to be, or the group is left out.
 * Groups that build on each other go along as long as all holds; if not, they have to be looked at one after another.
 */
import type { NewEvent, RecordedEvent } from '../../domain/event.js'
import type { AppendGroup, ExpectedRevision } from '../../runtime/ports/event-store.js'
import { List } from './lists.js'
import { asRecorded, Columns, toText } from './rows.js'
import { GONE, NONE } from './schema.js'

export function toNumberExpected(expected: ExpectedRevision): number {
  return expected === 'none' ? NONE : expected
}

export function toActual(actual: number): ExpectedRevision | 'removed' {
  return actual === NONE ? 'none' : actual === GONE ? 'removed' : actual
}

/** The revision that each event of a group is to have. */
export function revisionsOf({ expect, events }: AppendGroup): number[] {
  const reached = new Map<string, number>()
  return events.map(({ stream }) => {
    const revision = (reached.get(stream) ?? toNumberExpected(expect.get(stream) ?? 'none')) + 1
    reached.set(stream, revision)
    return revision
  })
}

interface Planned {
  readonly event: NewEvent
  readonly revision: number
  readonly batch: number
}

export class Plan {
  readonly columns: Columns = new Columns()
  readonly names: string[] = []
  readonly batches: number[] = []
  /** What is believed: streams, their revisions, and whose belief it is. */
  readonly beliefs: readonly [List, List, List] = [new List('text'), new List('bigint'), new List('integer')]
  /** Nothing may be stored unless all of it is. */
  whole = false
  readonly #planned: Planned[] = []
  readonly #written = new Map<string, number>()

  /** Undefined for groups that cannot all hold, whatever is stored. */
  static of(groups: readonly AppendGroup[]): Plan | undefined {
    const plan = new Plan()
    return groups.every((group, batch) => plan.#add(group, batch)) ? plan : undefined
  }

  /** What is stored once the groups in `without` are left out, as a reader will find it. */
  recorded(previous: number, without: ReadonlySet<number>): RecordedEvent[] {
    const events: RecordedEvent[] = []
    for (const { event, revision, batch } of this.#planned) {
      if (!without.has(batch)) events.push(asRecorded(event, revision, previous + events.length + 1))
    }
    return events
  }

  #add(group: AppendGroup, batch: number): boolean {
    for (const [stream, expected] of group.expect) {
      const revision = toNumberExpected(expected)
      const written = this.#written.get(stream)
      if (written === undefined) this.#believe(stream, revision, batch)
      else if (written === revision) this.whole = true
      else return false
    }
    const revisions = revisionsOf(group)
    for (const [index, event] of group.events.entries()) {
      const revision = revisions[index] ?? 0
      this.columns.add(event, revision, batch)
      this.#planned.push({ event, revision, batch })
      this.#written.set(event.stream, revision)
    }
    return true
  }

  #believe(stream: string, revision: number, batch: number): void {
    this.names.push(stream)
    this.batches.push(batch)
    const [streams, revisions, batches] = this.beliefs
    streams.push(toText(stream))
    revisions.push(revision)
    batches.push(batch)
  }
}
