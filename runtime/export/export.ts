/** A log, or a part of it, in a file of its own. */
import type { Manifest } from '../../domain/audit/bundle.js'
import { BUNDLE_FORMAT, endLine, eventLine, leafLine, manifestLine } from '../../domain/audit/bundle.js'
import { InvalidOption } from '../../domain/errors.js'
import type { Json, Position } from '../../domain/event.js'
import { jobIdOf } from '../../domain/job/events.js'
import { LogDiffers } from '../audit/errors.js'
import { Prover } from '../audit/prover.js'
import { toHeld } from '../audit/signer.js'
import { lastSigned } from '../audit/trail.js'
import { checkKeys, toFlag, toName } from '../checks.js'
import type { RangeOptions } from '../history/checks.js'
import { RANGE_KEYS, toRange } from '../history/checks.js'
import { boundsOf } from '../history/replay.js'
import type { LedgerPorts } from '../ledger-ports.js'
import type { LogReader } from '../ports/event-store.js'
import { StoreRefused } from '../ports/event-store.js'
import type { FileSeal } from '../ports/segments.js'
import type { Queries } from '../read/queries.js'
import type { Content, Item, Proof } from './content.js'
import { Selection, Unproven } from './content.js'
import { Each } from './each.js'
import { ExportExists } from './errors.js'
import { Slice } from './slice.js'

export interface ExportOptions extends RangeOptions {
  /** The file. */
  readonly to: string
  /** Take the place of a file that is there. Default false. */
  readonly force?: boolean
  /** A signed note from before: the file also shows that the log has only grown since. */
  readonly since?: string
  /** Called after each page. */
  readonly onProgress?: (so: { readonly events: number; readonly total: number }) => void
}

export interface Exported extends FileSeal {
  readonly file: string
  readonly events: number
  readonly streams: number
  /** Positions of the first event and of the last; '' where there is none. */
  readonly from: Position
  readonly to: Position
  /** Events of which only the leaf hash is in it: they were removed. */
  readonly removed: number
  /** Events that came after the last checkpoint. */
  readonly unsealed: number
  /**
   * By the last checkpoint, of what it covers: `whole`, that this is all of the log from one event to another; `each`, that each
   * is in the log. `nothing`: there is no checkpoint, or it covers nothing of this, or see `unproven`.
   */
  readonly proven: 'whole' | 'each' | 'nothing'
  /** The log is not what its last checkpoint says, and where. */
  readonly unproven?: string
}

interface World {
  readonly wholeLog: LogReader
  readonly queries: Queries
  readonly ports: Pick<LedgerPorts, 'store' | 'files' | 'clock' | 'digest'>
}

const KEYS = new Set([...RANGE_KEYS, 'to', 'force', 'since', 'onProgress'])

export async function exportLog(world: World, given: ExportOptions): Promise<Exported> {
  checkKeys(given, KEYS, 'export')
  const { to, force = false, onProgress, from, until, filter } = given
  if (typeof to !== 'string' || to === '') throw new InvalidOption('export.to', 'the path of a file', to)
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new InvalidOption('export.onProgress', 'a function', onProgress)
  const range = toRange(given, 'export')
  const since = given.since === undefined ? undefined : toHeld(given.since).note
  const { files, store } = world.ports
  if (files === undefined) throw new StoreRefused('Expected a ledger that can write files.')
  const { folder, name } = files(to)
  if (!toFlag(force, 'export.force') && (await folder.seal(toName(name, 'export.to'))) !== undefined)
    throw new ExportExists(to)
  for (const stream of range.filter.jobs ?? []) await checkKnown(world, stream)
  const selection = new Selection(world, range, await boundsOf(world, range, 'export'))
  const { content, counts, proof } = await surveyed(world, selection, since)
  const { events, streams, first, last } = counts
  const { checkpoint, slice, unproven } = proof
  const { logId } = store
  const isPart = from !== undefined || until !== undefined || filter !== undefined
  const manifest: Manifest = {
    ...{ format: BUNDLE_FORMAT, kind: 'export', logId, events, streams, from: first, to: last },
    // Of the log when it was exported.
    head: await world.wholeLog.head(),
    ...(isPart && { filter: filterOf(given) }),
    ...proof,
    // Of a slice its place in the tree says as much.
    ...(checkpoint !== undefined && slice === undefined && { unsealed: counts.unsealed }),
  }
  const lines = linesOf(manifest, content, (done) => onProgress?.({ events: done, total: events }))
  const seal = await folder.write(name, lines, (sha256) => endLine(events, sha256))
  return {
    ...{
      file: to,
      ...seal,
      events,
      streams,
      from: first,
      to: last,
      removed: counts.removed,
      unsealed: counts.unsealed,
    },
    proven: slice !== undefined ? 'whole' : counts.sealed > 0 ? 'each' : 'nothing',
    ...(unproven !== undefined && { unproven }),
  }
}

/** Nothing of a job that never was is more likely a slip than a wish. Throws JobUnknown, JobRemoved. */
async function checkKnown({ wholeLog, queries }: World, stream: string): Promise<void> {
  for await (const page of wholeLog.readStream(stream, { limit: 1 })) if (page.length > 0) return
  await queries.read(jobIdOf(stream))
}

/** What was asked for, as the manifest keeps it. */
function filterOf({ from, until, filter }: ExportOptions): Json {
  return JSON.parse(JSON.stringify({ from, until, ...filter })) as Json
}

interface Counts {
  readonly events: number
  readonly streams: number
  readonly first: Position
  readonly last: Position
  readonly removed: number
  readonly sealed: number
  readonly unsealed: number
}

interface Surveyed {
  readonly content: Content
  readonly counts: Counts
  readonly proof: Proof
}

/** A log that is not what was signed can be exported, for whatever else is in it; but nothing is said to be proven then. */
async function surveyed(world: World, selection: Selection, since: string | undefined): Promise<Surveyed> {
  try {
    return await survey(await contentOf(world, selection, since), since)
  } catch (error) {
    if (!(error instanceof LogDiffers)) throw error
    return survey(new Unproven(selection, error.message))
  }
}

async function survey(content: Content, since?: string): Promise<Surveyed> {
  return { counts: await count(content.survey()), proof: await content.proof(since), content }
}

async function contentOf(
  { wholeLog, ports: { digest } }: World,
  selection: Selection,
  since: string | undefined,
): Promise<Content> {
  if (since === undefined && (await lastSigned(wholeLog)) === undefined) return new Unproven(selection)
  const prover = await Prover.open(wholeLog, digest.hash)
  return selection.isFiltered ? new Each(selection, prover, digest) : new Slice(selection, prover, digest)
}

async function count(pages: AsyncIterable<readonly Item[]>): Promise<Counts> {
  const streams = new Set<string>()
  let [events, first, last, removed, sealed, unsealed] = [0, '', '', 0, 0, 0]
  for await (const page of pages) {
    for (const item of page) {
      if ('leaf' in item) {
        removed += 1
        continue
      }
      const { stream, position } = item.event
      streams.add(stream)
      if (events === 0) first = position
      last = position
      events += 1
      if (item.isSealed === true) sealed += 1
      if (item.isSealed === false) unsealed += 1
    }
  }
  return { events, streams: streams.size, first, last, removed, sealed, unsealed }
}

async function* linesOf(
  manifest: Manifest,
  content: Content,
  tell: (events: number) => void,
): AsyncGenerator<string, void, undefined> {
  yield manifestLine(manifest)
  let events = 0
  for await (const page of content.lines()) {
    for (const item of page) {
      if ('event' in item) events += 1
      yield 'event' in item ? eventLine(item.event, item.place) : leafLine(item.index, item.leaf)
    }
    tell(events)
  }
  if (events !== manifest.events)
    throw new StoreRefused(`Expected ${manifest.events} events, got ${events}: some were removed meanwhile.`)
}
