/** Rows of the views to parameters and back, and filters to conditions. */
import type { Checkpoint, EndedFilter, JobRow, JobRowFilter } from '../../runtime/ports/views.js'
import { ArrayText, arrayText } from './arrays.js'
import type { Row } from './connections.js'
import type { Value } from './driver.js'
import { fromText, toText } from './rows.js'
import { quoted } from './schema.js'

const JOB_COLUMNS = ['place', 'id', 'type', 'queue', 'channel', 'trigger', 'phase', 'end_place'] as const

/** Of a row as `toJobRow` takes it. */
export const COLUMNS: string = `${JOB_COLUMNS.join(', ')}, keep_until, array_to_json(depends_on), state`

/** Over a kept row of the same place; `expunged` stays as it is. */
export function setJobs(schema: string): string {
  const all = [...JOB_COLUMNS, 'keep_until', 'depends_on', 'state']
  const arrays = all.map((name, index) => `$${index + 1}::${name === 'keep_until' ? 'bigint' : 'text'}[]`)
  const replaced = all.slice(2).map((name) => `${name} = excluded.${name}`)
  return `
    INSERT INTO ${quoted(schema)}.view_jobs (${all.join(', ')})
    SELECT ${JOB_COLUMNS.join(', ')}, keep_until, depends_on::text[], state
    FROM unnest(${arrays.join(', ')}) AS r(${all.join(', ')})
    ON CONFLICT (place) DO UPDATE SET ${replaced.join(', ')}`
}

/** The parameters of `setJobs`. Budget 4 us a row: every job that was touched comes by here. */
export function toColumns(rows: Iterable<JobRow>): string[] {
  const texts = JOB_COLUMNS.map(() => new ArrayText())
  const [place, id, type, queue, channel, trigger, phase, endPlace] = texts
  const [keepUntil, dependsOn, state] = [new ArrayText(), new ArrayText(), new ArrayText()]
  for (const row of rows) {
    place?.add(toText(row.place))
    id?.add(toText(row.id))
    type?.add(toText(row.type))
    queue?.add(toText(row.queue))
    channel?.add(toText(row.channel))
    trigger?.add(toText(row.trigger))
    phase?.add(row.phase)
    endPlace?.add(toText(row.endPlace))
    keepUntil.addNumber(row.keepUntil)
    dependsOn.add(row.dependsOn.length === 0 ? '{}' : arrayText(row.dependsOn.map(toText)))
    state.addJson(row.state)
  }
  return [...texts, keepUntil, dependsOn, state].map(String)
}

const NO_IDS: readonly string[] = []

export function toJobRow(row: Row): JobRow {
  const [place = '', id = '', type = '', queue = '', channel = '', trigger = '', phase = '', endPlace = ''] = row.map(
    (cell) => fromText(cell ?? ''),
  )
  const [keepUntil, dependsOn, state] = row.slice(JOB_COLUMNS.length)
  return {
    ...{ id, place, type, queue, channel, trigger, phase, endPlace },
    keepUntil: typeof keepUntil === 'string' ? Number(keepUntil) : null,
    dependsOn: typeof dependsOn === 'string' && dependsOn !== '[]' ? idsIn(dependsOn) : NO_IDS,
    state: state ?? '',
  }
}

const idsIn = (json: string): string[] => (JSON.parse(json) as string[]).map(fromText)

export const CHECKPOINT = 'version, log_id, position, stream, revision, event_id, projection'

/** Of a row of `view_state`; undefined before the first save. */
export function toCheckpoint(row: Row | undefined): Checkpoint | undefined {
  const [, logId, position, stream, revision, eventId, projection] = row ?? []
  if (typeof logId !== 'string') return undefined
  return {
    logId,
    position: position ?? '',
    stream: fromText(stream ?? ''),
    revision: Number(revision),
    eventId: fromText(eventId ?? ''),
    version: Number(projection),
  }
}

/** Conditions on top of others, whose parameters are numbered from `first`. */
export function conditionsOf(
  filter: JobRowFilter & Partial<EndedFilter>,
  first: number,
): { readonly sql: string; readonly values: readonly Value[] } {
  const { types, queues, channels, phases, keep, bodies } = filter
  const values: Value[] = []
  const add = (condition: (parameter: string) => string, value: Value): string => {
    values.push(value)
    return ` AND ${condition(`$${first + values.length - 1}`)}`
  }
  let sql = ''
  for (const [column, wanted] of Object.entries({ type: types, queue: queues, channel: channels, phase: phases })) {
    if (wanted !== undefined) sql += add((parameter) => `${column} = ANY (${parameter}::text[])`, wanted.map(toText))
  }
  if (typeof keep === 'number') sql += add((parameter) => `keep_until < ${parameter}::bigint`, keep)
  if (bodies === true) sql += ' AND NOT expunged'
  return { sql, values }
}
