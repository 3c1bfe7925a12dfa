/** One thing that users of a job queue rely on, told as a story and played on every backend. */
import { test } from 'vitest'
import type { Backend } from '../engine/support.js'
import { memory, sqlite, World } from '../engine/support.js'

/** A row of the catalogue (`12`), a resolution (`'C5'`), or a fact of a reference system (`'000.7'`). */
export type Cover = number | string

/** Titles are read by `map.test.ts`: write them, and `covers`, as literals. */
export function scenario(
  covers: readonly Cover[],
  title: string,
  play: (world: World) => Promise<void>,
  backends: readonly Backend[] = [memory, sqlite],
): void {
  for (const backend of backends) {
    test(`${title} (${covers.join(', ')}; ${backend.name})`, async () => {
      await using world = await World.create(backend)
      await play(world)
    })
  }
}

/** Only stores with transactions have it. */
export const SQL: readonly Backend[] = [sqlite]
