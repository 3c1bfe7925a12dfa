/** Several processes that are to begin at the same moment wait for each other. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_MS = 2

export interface Meeting {
  /** A folder of its own. */
  readonly at: string
  readonly size: number
  /** Who comes, from 0. */
  readonly me: number
}

/** Resolves in all of them within a few milliseconds once the last one has come. */
export async function meet({ at, size, me }: Meeting): Promise<void> {
  const place = (n: number): string => join(at, String(n))
  writeFileSync(place(me), '')
  for (let n = 0; n < size; n += 1) while (!existsSync(place(n))) await sleep(LOOK_MS)
}

/** The tickets for a meeting, one for each. */
export const tickets = (at: string, size: number): Meeting[] =>
  Array.from({ length: size }, (_, me) => ({ at, size, me }))
