/**
 * Puts groups of events into the tables, inside a transaction that somebody else begins and ends.
 * Hopeful: a stream that is believed to be new is not looked up; the unique index on names refuses it, and the caller
 * rolls back and comes again, carefully. Revisions are always checked, against what is remembered or, failing that, read.
 */
import type { NewEvent, RecordedEvent } from '../../domain/event.js'
import type { AppendGroup, AppendOutcome, EventRef, ExpectedRevision } from '../../runtime/ports/event-store.js'
import { StoreRefused } from '../../runtime/ports/event-store.js'
import { isPlain } from '../shared/groups.js'
import { toPosition } from '../shared/positions.js'
import type { Database, Value } from './driver.js'
import type { Effects } from './effects.js'
import { HEAD_REMOVED, type Head, type Heads } from './heads.js'
import { Removals } from './removals.js'
import { INSTANT_STEP } from './schema.js'
import { WriterStatements } from './writer-statements.js'

/** Rows per INSERT statement: measured some 20 % faster than one by one; more brings no more. */
const CHUNK = 10
const COLUMNS = 11

const NOTHING: ReadonlySet<string> = new Set()

export interface WriteOptions {
  /** Look every stream up before writing. Needed where a group has effects: they are not to be called a second time. */
  readonly careful: boolean
  /** Keep what is written as recorded events. */
  readonly record: boolean
}

/** What one call has done so far. */
export interface Written {
  readonly outcomes: AppendOutcome[]
  readonly recorded: RecordedEvent[]
  /** `recorded` is what a reader finds: nothing of it was taken out again, and nobody else wrote in between. */
  readonly whole: boolean
  /** The log's last position before the call, and after it. */
  readonly previous: number
  readonly last: number
}

/** Where a call stood before a group that may have to be taken back. */
interface Mark {
  readonly last: number
  readonly nextInstant: number
  readonly created: number
  readonly recorded: number
}

export class Writer {
  readonly #db: Database
  readonly #heads: Heads
  readonly #effects: Effects | undefined
  readonly #statements: WriterStatements
  /** Rows waiting to be inserted, column after column; the array is made once. */
  readonly #rows: Value[] = Array<Value>(CHUNK * COLUMNS).fill(null)
  #filled = 0
  readonly #created: string[] = []
  #version: unknown
  #last = 0
  /** The last position before this call. */
  #start = 0
  #nextInstant = 0
  #careful = false
  #generation = 0
  #recorded: RecordedEvent[] | undefined
  #whole = true
  #removals: Removals | undefined

  /** Without `effects` only groups that have nothing but events are taken. */
  constructor(db: Database, heads: Heads, effects?: Effects) {
    this.#db = db
    this.#heads = heads
    this.#effects = effects
    this.#statements = new WriterStatements(db, CHUNK)
  }

  /** Writes what holds and leaves out what conflicts. When it throws, call `undo` after the rollback. */
  write(groups: readonly AppendGroup[], { careful, record }: WriteOptions): Written {
    this.#refresh()
    this.#careful = careful
    this.#recorded = record ? [] : undefined
    this.#whole = true
    this.#created.length = 0
    this.#generation = this.#heads.generation
    this.#start = this.#last
    const outcomes = groups.map((group) => this.#group(group))
    this.#flush()
    return { outcomes, recorded: this.#recorded ?? [], whole: this.#whole, previous: this.#start, last: this.#last }
  }

  /** Forgets what a transaction has taught that was rolled back. */
  undo(): void {
    this.#filled = 0
    this.#heads.forget(this.#created)
    this.#heads.invalidate()
    this.#version = undefined
  }

  /** What is remembered of the log is true as long as nobody else has written. */
  #refresh(): void {
    const version = this.#statements.dataVersion.get()
    if (version === this.#version) return
    this.#heads.invalidate()
    this.#last = this.#statements.lastPosition()
    this.#nextInstant = this.#statements.lastInstant() + INSTANT_STEP
    this.#version = version
  }

  #group(group: AppendGroup): AppendOutcome {
    if (this.#effects === undefined && !isPlain(group)) return { kind: 'rejected', error: refusal() }
    const surelyWritten = this.#careful ? NOTHING : streamsWritten(group)
    for (const [stream, expected] of group.expect) {
      if (this.#holds(stream, expected, surelyWritten.has(stream))) continue
      const head = this.#look(stream)
      const actual = head === undefined ? 'none' : head.revision === HEAD_REMOVED ? 'removed' : head.revision
      return this.#repetition(group) ?? { kind: 'conflict', stream, actual }
    }
    return isPlain(group) ? this.#store(group) : this.#storeWithMore(group)
  }

  #store(group: AppendGroup): AppendOutcome {
    for (const event of group.events) this.#insert(event, group)
    return { kind: 'ok', position: this.#recorded?.at(-1)?.position ?? toPosition(this.#last) }
  }

  #storeWithMore(group: AppendGroup): AppendOutcome {
    // What earlier groups have brought is not to be taken back with this one, and has to be there to be erased.
    this.#flush()
    const mark = this.#mark()
    if (group.effects !== undefined) this.#effects?.begin()
    const outcome = this.#store(group)
    this.#flush()
    for (const event of group.erase ?? []) this.#erase(event)
    for (const stream of group.remove ?? []) this.#remove(stream)
    const error = group.effects && this.#effects?.run(group)
    if (error !== undefined) {
      this.#goBack(mark)
      return { kind: 'rejected', error }
    }
    if (group.effects !== undefined) this.#catchUp()
    return outcome
  }

  #erase({ stream, revision }: EventRef): void {
    const head = this.#look(stream)
    const place = head && this.#statements.eventAt(head.number, revision)
    if (place === undefined) return
    this.#removals ??= new Removals(this.#db)
    this.#removals.erase(place.position)
    if (place.position > this.#start) this.#whole = false
  }

  #remove(stream: string): void {
    const head = this.#look(stream)
    if (head === undefined) return
    this.#removals ??= new Removals(this.#db)
    this.#removals.remove(head.number, this.#last)
    head.revision = HEAD_REMOVED
    this.#whole = false
  }

  #mark(): Mark {
    const { length: created } = this.#created
    return { last: this.#last, nextInstant: this.#nextInstant, created, recorded: this.#recorded?.length ?? 0 }
  }

  /** After a savepoint was rolled back. Nothing waits to be inserted then. */
  #goBack({ last, nextInstant, created, recorded }: Mark): void {
    this.#last = last
    this.#nextInstant = nextInstant
    this.#heads.forget(this.#created.splice(created))
    this.#heads.invalidate()
    this.#recorded?.splice(recorded)
  }

  /** Effects may have appended on their own, within the same transaction. */
  #catchUp(): void {
    const last = this.#statements.lastPosition()
    if (last === this.#last) return
    this.#last = last
    this.#nextInstant = this.#statements.lastInstant() + INSTANT_STEP
    this.#heads.invalidate()
    this.#whole = false
  }

  /** `hopeful`: if the stream is further than it seems, an index will refuse its new row. */
  #holds(stream: string, expected: ExpectedRevision, hopeful: boolean): boolean {
    if (expected === 'none') return (hopeful ? this.#heads.get(stream) : this.#look(stream)) === undefined
    // One event is what most leases expect, and the stream was seen when the payload was read.
    const head = hopeful && expected === 0 ? this.#heads.startedAt0(stream) : undefined
    return (head ?? this.#look(stream))?.revision === expected
  }

  #look(stream: string): Head | undefined {
    const known = this.#heads.get(stream)
    if (known !== undefined) return known
    const found = this.#statements.head(stream)
    return found && this.#heads.set(stream, found.number, found.revision)
  }

  #insert(event: NewEvent, group: AppendGroup): void {
    const position = this.#last + 1
    const known = this.#heads.get(event.stream) ?? this.#recall(event.stream, group)
    const first = known === undefined
    const head = known ?? this.#heads.set(event.stream, position, 0)
    if (first) this.#created.push(event.stream)
    else head.revision += 1
    this.#last = position
    this.#put(event, position, head, first)
    if (event.at >= this.#nextInstant) {
      this.#statements.addInstant.run(event.at, position)
      this.#nextInstant = event.at + INSTANT_STEP
    }
    if (this.#recorded !== undefined) this.#recorded.push(asRecorded(event, head.revision, toPosition(position)))
  }

  /** Nothing for a new stream, unless a call of very many streams has pushed out what it had just learnt. */
  #recall(stream: string, { expect }: AppendGroup): Head | undefined {
    if (this.#heads.generation === this.#generation) return undefined
    this.#flush()
    const head = this.#look(stream)
    // Hoped to be new and there before this call: its new first row is for the index to refuse.
    return expect.get(stream) === 'none' && head !== undefined && head.number <= this.#start ? undefined : head
  }

  #put(event: NewEvent, position: number, { number, revision }: Head, first: boolean): void {
    const { body } = event
    const rows = this.#rows
    let next = this.#filled
    rows[next++] = position
    rows[next++] = number
    rows[next++] = revision
    rows[next++] = first ? event.stream : null
    rows[next++] = event.type
    rows[next++] = event.at
    rows[next++] = event.id
    rows[next++] = JSON.stringify(event.data)
    rows[next++] = metadataText(event)
    rows[next++] = body === undefined ? null : 'hash' in body ? body.hash : body.salt
    rows[next++] = body === undefined || 'hash' in body ? null : body.content
    this.#filled = next
    if (next === rows.length) this.#flush()
  }

  #flush(): void {
    if (this.#filled === 0) return
    const rows = this.#filled === this.#rows.length ? this.#rows : this.#rows.slice(0, this.#filled)
    this.#statements.insert(this.#filled / COLUMNS).run(rows)
    this.#filled = 0
    // Not to hold on to bodies.
    this.#rows.fill(null)
  }

  /** `ok` if every event of the group is stored already, just where this group would put it. */
  #repetition(group: AppendGroup): AppendOutcome | undefined {
    this.#flush()
    const reached = new Map<string, number>()
    let position = 0
    for (const event of group.events) {
      const head = this.#look(event.stream)
      if (head === undefined) return undefined
      const expected = group.expect.get(event.stream)
      const revision = (reached.get(event.stream) ?? (typeof expected === 'number' ? expected : -1)) + 1
      reached.set(event.stream, revision)
      const found = this.#statements.eventAt(head.number, revision)
      if (found?.id !== event.id) return undefined
      position = found.position
    }
    return { kind: 'ok', position: toPosition(position) }
  }
}

function refusal(): StoreRefused {
  return new StoreRefused(
    "Expected a group with events only in the caller's own transaction: no erase, remove or effects.",
  )
}

/** A stream that is only read has no row on which the index could refuse it. */
function streamsWritten({ expect, events }: AppendGroup): { has(stream: string): boolean } {
  return expect.size === 1 ? expect : new Set(events.map(({ stream }) => stream))
}

function metadataText({ metadata }: NewEvent): string | null {
  if (metadata === undefined) return null
  const text = JSON.stringify(metadata)
  return text === '{}' ? null : text
}

/** The same keys in the same order as an event that was read. */
function asRecorded(event: NewEvent, revision: number, position: string): RecordedEvent {
  const { stream, id, type, at, data, body } = event
  return { stream, id, type, at, data, metadata: emptyAsNone(event), revision, position, body }
}

function emptyAsNone({ metadata }: NewEvent): RecordedEvent['metadata'] {
  if (metadata === undefined) return undefined
  for (const key in metadata) if (Object.hasOwn(metadata, key)) return metadata
  return undefined
}
