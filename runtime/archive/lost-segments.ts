/** Segments that the log names and nobody can read: for who is to say what that means, and not to stop there. */
import type { EventTexts } from '../../domain/event.js'
import type { Segment } from '../../projections/segments.js'
import type { LogReader } from '../ports/event-store.js'
import type { Catalogue } from './catalogue.js'
import { SegmentDamaged, SegmentMissing } from './errors.js'
import type { SegmentReader } from './segment-reader.js'

export interface LostSegment {
  readonly segment: Segment
  readonly error: SegmentMissing | SegmentDamaged
}

/** What reads a log with its archive needs of a catalogue. */
export type SegmentSource = Pick<Catalogue, 'refresh' | 'isEmpty' | 'all' | 'get' | 'lets' | 'eventsOf' | 'cutsOf'>

/** The log without what is lost. */
export interface ReadableLog {
  readonly log: LogReader
  readonly lost: readonly LostSegment[]
  /** Whether what was sealed under this name is in one of them. */
  readonly isLost: (name: string) => boolean
}

/** Looks at every file. Throws ArchiveMissing, StoreUnavailable. */
export async function findLost(catalogue: Catalogue, reader: SegmentReader): Promise<LostSegment[]> {
  const lost: LostSegment[] = []
  await catalogue.refresh()
  for (const { name } of catalogue.all) {
    for (let segment = catalogue.get(name); segment !== undefined; ) {
      const error = await reader.check(segment).then(() => undefined, lossOf)
      if (error === undefined) break
      // Another one may have taken its place meanwhile.
      await catalogue.refresh()
      const current = catalogue.get(name)
      if (current?.name === segment.name) lost.push({ segment, error })
      segment = current?.name === segment.name ? undefined : current
    }
  }
  return lost
}

function lossOf(error: unknown): SegmentMissing | SegmentDamaged {
  if (error instanceof SegmentMissing || error instanceof SegmentDamaged) return error
  throw error
}

/** A catalogue whose lost segments have no events. */
export function withoutLost(catalogue: Catalogue, lost: readonly LostSegment[]): SegmentSource {
  const names = new Set(lost.map(({ segment }) => segment.name))
  return {
    refresh: () => catalogue.refresh(),
    get isEmpty() {
      return catalogue.isEmpty
    },
    get all() {
      return catalogue.all
    },
    get: (name) => catalogue.get(name),
    lets: (name, stream) => catalogue.lets(name, stream),
    cutsOf: (stream) => catalogue.cutsOf(stream),
    eventsOf: async (segment): Promise<readonly EventTexts[]> =>
      names.has(segment.name) ? [] : catalogue.eventsOf(segment),
  }
}
