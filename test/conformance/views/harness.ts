/** What the suite asks of an adapter's own test file, and the words its tests are written in. */
import { afterEach, beforeEach } from 'vitest'
import type { Checkpoint, EndedFilter, JobRow, Tombstone, Views } from '../../../runtime/ports/views.js'

/** New, empty views. */
export interface ViewsUnderTest {
  readonly views: Views
  /** Another handle on the same rows, as another process has it. Leave it out where there is none. */
  readonly openSecond?: () => Promise<Views>
  /** Takes everything down again; `views` may be closed already. */
  readonly dispose: () => Promise<void>
}

export type ViewsFactory = () => Promise<ViewsUnderTest>

export type Changes = Parameters<Views['save']>[0]

/** Fresh views for each test of the enclosing `describe`. */
export function freshViews(factory: ViewsFactory): () => ViewsUnderTest {
  let current: ViewsUnderTest | undefined
  beforeEach(async () => {
    current = await factory()
  })
  afterEach(async () => {
    await current?.dispose()
    current = undefined
  })
  return () => {
    if (current === undefined) throw new Error('No views: call this inside a test.')
    return current
  }
}

/** Runs `work` with a second handle, or with the only one where there cannot be two. */
export async function withSecond(
  { views, openSecond }: ViewsUnderTest,
  work: (second: Views) => Promise<void>,
): Promise<void> {
  const second = await openSecond?.()
  try {
    await work(second ?? views)
  } finally {
    await second?.close()
  }
}

/** What `work` gives, and how often the event loop came round meanwhile. */
export async function countingTurns<Result>(work: () => Promise<Result>): Promise<{ result: Result; turns: number }> {
  let turns = 0
  let working = true
  const count = (): void => {
    turns += 1
    if (working) setImmediate(count)
  }
  setImmediate(count)
  try {
    const result = await work()
    return { result, turns }
  } finally {
    working = false
  }
}

export const position = (number: number): string => String(number).padStart(16, '0')

export function row(number: number, details: Partial<JobRow> = {}): JobRow {
  return {
    id: `job-${number}`,
    place: position(number),
    type: 'send-mail',
    queue: 'default',
    channel: '',
    trigger: '',
    phase: 'waiting',
    endPlace: '',
    keepUntil: null,
    dependsOn: [],
    state: `{"n":${number}}`,
    ...details,
  }
}

/** Of the jobs `from` to `to`. */
export function rows(from: number, to: number, details: Partial<JobRow> = {}): JobRow[] {
  return Array.from({ length: to - from + 1 }, (_, index) => row(from + index, details))
}

/** A row of a job that depends on the jobs of these numbers. */
export function dependent(number: number, dependencies: readonly number[], details: Partial<JobRow> = {}): JobRow {
  return row(number, { dependsOn: dependencies.map((each) => `job-${each}`), ...details })
}

/** What is left of the jobs of these numbers. */
export function removal(
  numbers: readonly number[],
  outcome: Tombstone['outcome'] = 'succeeded',
): ReadonlyMap<string, Tombstone> {
  return new Map(numbers.map((number) => [`job-${number}`, { outcome, place: position(number) }]))
}

export function checkpoint(number: number, details: Partial<Checkpoint> = {}): Checkpoint {
  const place = { position: position(number), stream: 'job-1', revision: number, eventId: `event-${number}` }
  return { logId: 'log-1', ...place, version: 1, ...details }
}

export function changes(upTo: number, all: Iterable<JobRow>, since: string, details: Partial<Changes> = {}): Changes {
  return {
    checkpoint: checkpoint(upTo),
    since,
    rows: all,
    texts: new Map(),
    removed: new Map(),
    expunged: [],
    ...details,
  }
}

export async function idsOf(views: Views): Promise<string[]> {
  return (await views.list({ limit: 10_000 })).map(({ id }) => id)
}

export async function live(views: Views): Promise<string[]> {
  const states: string[] = []
  for await (const page of views.live()) states.push(...page)
  return states
}

/** Ids of the jobs that have ended, as a rule of retention asks for them. */
export async function endedIds(views: Views, filter: Partial<EndedFilter> = {}): Promise<string[]> {
  return (await views.ended({ keep: 'rules', limit: 10_000, ...filter })).map(({ id }) => id)
}

/** Sorted: they come in no order. */
export async function dependentsOf(views: Views, number: number): Promise<string[]> {
  return (await views.dependents(`job-${number}`)).sort()
}

/** What is kept of the removed among the jobs of these numbers. */
export async function removedOf(views: Views, ...numbers: readonly number[]): Promise<Record<string, string>> {
  return Object.fromEntries(await views.removed(numbers.map((number) => `job-${number}`)))
}
