import type { Cancel, Clock } from '../../runtime/ports/clock.js'

/** Longer than this, `setTimeout` fires at once. */
const LONGEST = 2 ** 31 - 1

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
