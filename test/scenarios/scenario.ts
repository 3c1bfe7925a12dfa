/** One thing that users of a job queue rely on, told as a story and played on every backend. */
import { test } from 'vitest'
import type { Backend } from '../engine/support.js'
import { memory, oneStreamAtATime, sqlite, World } from '../engine/support.js'

/** A row of the catalogue (`12`), a resolution (`'C5'`), or a fact of a reference system (`'000.7'`). */
export type Cover = number | string

/** Titles are read by `map.test.ts`: write them, and `covers`, as literals. */
export function scenario(
  covers: readonly Cover[],
  title: string,
  play: (world: World) => Promise<void>,
  stages: readonly Stage[] = [memory, oneStreamAtATime, sqlite],
): void {
  for (const { lacks, ...backend } of stages) {
    test(`${title} (${covers.join(', ')}; ${backend.name})`, async (context) => {
      if (lacks !== undefined) context.skip(`skipped: ${lacks}`)
      await using world = await World.create(backend)
      await play(world)
    })
  }
}

interface Stage extends Backend {
  /** Why it cannot be so here. */
  readonly lacks?: string
}

/** For what holds only where one append may span streams; why not elsewhere. */
export const inOneAppend = (reason: string): readonly Stage[] => [
  memory,
  { ...oneStreamAtATime, lacks: `one stream at a time: ${reason}` },
  sqlite,
]

/** Only stores with transactions have it. */
export const SQL: readonly Backend[] = [sqlite]
