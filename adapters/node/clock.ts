import type { Cancel, Clock } from '../../runtime/ports/clock.js'

/**
 * A timer counts time that has passed, not the time of day: after a suspend, or when the clock is set, a long one would ring
 * late by as much. So the time of day is looked at again at least this often (ms).
 */
const LONGEST = 2_000

/** The real clock. Its timers keep the process alive: an open ledger does, until it is closed. */
export const systemClock: Clock = {
  now: Date.now,
  at,
  soon: (call) => void setImmediate(call),
}

function at(instant: number, call: () => void): Cancel {
  let timer: NodeJS.Timeout
  const arm = (): void => {
    const ms = instant - Date.now()
    timer = ms > LONGEST ? setTimeout(arm, LONGEST) : setTimeout(call, Math.max(0, ms))
  }
  arm()
  return () => clearTimeout(timer)
}
