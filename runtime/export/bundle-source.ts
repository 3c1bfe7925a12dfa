import type { BundleLine, Manifest } from '../../domain/audit/bundle.js'
import { readLine, readManifest } from '../../domain/audit/bundle.js'
import { BundleUnreadable } from '../../domain/audit/errors.js'
import type { JobsRemoved } from '../../domain/audit/events.js'
import type { EventTexts, Position, RecordedEvent } from '../../domain/event.js'
import { START } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import { toRecorded } from '../archive/segment-reader.js'
import { removedIn } from '../copy/removed.js'
import type { CopySource } from '../copy/source.js'
import type { Folder, Line } from '../ports/segments.js'
import { ImportDamaged, ImportPartial } from './errors.js'

/** Events of a page at most, and about how many characters of them. */
const PAGE = 500
const WEIGHT = 4 * 1024 ** 2

/**
 * Reads all of the file once, before anything is done with it: what is damaged or cut off, or begins in the middle of a log, is
 * found out then. Throws ImportDamaged, ImportPartial, StoreUnavailable.
 */
export async function openBundle(folder: Folder, name: string): Promise<CopySource> {
  const examination = new Examination(`${folder.path}/${name}`)
  for await (const line of folder.lines(name)) examination.read(line)
  const { logId } = examination.manifest
  const { last, gone } = examination
  return {
    logId,
    head: async () => last,
    gone: async () => gone,
    pages: ({ after = START, until = last }) => pagesIn(folder, name, after, until),
    countAfter: async () => 0,
  }
}

/** What a file says, line by line. Each call throws ImportDamaged, ImportPartial. */
class Examination {
  /** Streams that have left the log. */
  readonly gone = new Map<string, number>()
  last: Position = START
  readonly #file: string
  readonly #revisions = new Map<string, number>()
  #manifest: Manifest | undefined
  #number = 0
  #events = 0
  #isWhole = false

  constructor(file: string) {
    this.#file = file
  }

  /** Once all was read. */
  get manifest(): Manifest {
    if (this.#manifest === undefined) throw this.#damaged('a manifest', 'an empty file')
    if (this.#isWhole) return this.#manifest
    throw this.#damaged(
      `${this.#manifest.events} events and their hash at the end`,
      `${this.#events} events, or another hash`,
    )
  }

  read({ text, before }: Line): void {
    this.#number += 1
    try {
      if (this.#manifest === undefined) this.#manifest = this.#checked(readManifest(text))
      else this.#take(readLine(text, this.#number), this.#manifest, before)
    } catch (error) {
      throw error instanceof BundleUnreadable ? this.#damaged(error.expected, error.received) : error
    }
  }

  #take(line: BundleLine, manifest: Manifest, before: Line['before']): void {
    if (this.#isWhole) throw this.#damaged('nothing after its end', `line ${this.#number}`)
    // Of an event that was removed.
    if (line.kind === 'leaf') return
    if (line.kind === 'event') this.#takeEvent(line.event)
    else
      this.#isWhole =
        [line.events, manifest.events].every((events) => events === this.#events) && line.sha256 === before()
  }

  #takeEvent({ stream, revision, position, type, at, data }: EventTexts): void {
    if (position <= this.last) throw this.#damaged('events in order', `${position} after ${this.last}`)
    // A stream that has no beginning is refused before anything is written.
    const expected = (this.#revisions.get(stream) ?? -1) + 1
    if (revision !== expected) throw this.#partial(`'${stream}' has revision ${revision} where ${expected} should be`)
    this.#revisions.set(stream, revision)
    this.last = position
    this.#events += 1
    if (type !== 'JobsRemoved') return
    for (const { id } of removedIn(JSON.parse(data) as JobsRemoved)) this.gone.set(jobStream(id), at)
  }

  #checked(manifest: Manifest): Manifest {
    const { kind, filter, checkpoint, slice } = manifest
    if (kind !== 'export') throw this.#partial(`it is of kind ${kind}`)
    if (filter !== undefined) throw this.#partial(`it was filtered by ${JSON.stringify(filter)}`)
    if (checkpoint !== undefined && slice?.index !== 0) throw this.#partial('it does not begin with the first leaf')
    return manifest
  }

  #damaged(expected: string, received: string): ImportDamaged {
    return new ImportDamaged(this.#file, expected, received)
  }

  #partial(why: string): ImportPartial {
    return new ImportPartial(this.#file, why)
  }
}

async function* pagesIn(
  folder: Folder,
  name: string,
  after: Position,
  until: Position,
): AsyncGenerator<readonly RecordedEvent[], void, undefined> {
  let page: RecordedEvent[] = []
  let [number, weight] = [0, 0]
  for await (const { text } of folder.lines(name)) {
    number += 1
    if (number === 1) continue
    const line = readLine(text, number)
    if (line.kind !== 'event' || line.event.position <= after || line.event.position > until) continue
    page.push(toRecorded(line.event, true))
    weight += text.length
    if (page.length < PAGE && weight < WEIGHT) continue
    yield page
    page = []
    weight = 0
  }
  if (page.length > 0) yield page
}
