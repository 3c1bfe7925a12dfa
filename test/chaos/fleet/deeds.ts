/** What is done to one process of the fleet, again and again: drawn from the seed, whatever the process makes of it. */
import type { Draw } from './draws.js'
import { between, drawsFor } from './draws.js'

/**
 * `kill`: SIGKILL, then started again after `forMs`. `freeze`: SIGSTOP, and SIGCONT after `forMs`. `stop`: asked to shut
 * down in order, then started again after `forMs`.
 */
export interface Deed {
  /** Since the process was last ready, or went on after a freeze. */
  readonly afterMs: number
  readonly what: 'kill' | 'freeze' | 'stop'
  readonly forMs: number
}

/** How long a lease of the fleet lasts, and how long past its end the others leave it alone. */
export const LEASE_MS = 1_000
const GRACE_MS = 5_000

const KILLS = 0.5
const FREEZES = 0.25

export interface Pace {
  /** How long a process is left alone between two deeds. */
  readonly leastMs: number
  readonly mostMs: number
  /** Default true. */
  readonly freezes?: boolean
}

export function* deedsFor(seed: number, slot: number, pace: Pace): Generator<Deed, never> {
  const draw = drawsFor(seed, `deeds of ${slot}`)
  for (;;) yield deed(draw, pace)
}

function deed(draw: Draw, { leastMs, mostMs, freezes = true }: Pace): Deed {
  const afterMs = between(draw, leastMs, mostMs)
  const kind = draw()
  const length = draw()
  const span = (least: number, most: number): number => Math.round(least + length * (most - least))
  if (kind < KILLS) return { afterMs, what: 'kill', forMs: span(0, 1_500) }
  if (kind >= KILLS + FREEZES || !freezes) return { afterMs, what: 'stop', forMs: span(0, 500) }
  // One in three is short enough for the process to go on with its leases; the others are past all of them.
  const isShort = draw() < 1 / 3
  const forMs = isShort ? span(50, LEASE_MS / 2) : span(LEASE_MS + GRACE_MS + 1_200, LEASE_MS + GRACE_MS + 4_000)
  return { afterMs, what: 'freeze', forMs }
}
