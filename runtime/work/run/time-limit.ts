import type { Duration } from '../../../domain/duration.js'
import { toMs } from '../../../domain/duration.js'
import { InvalidOption } from '../../../domain/errors.js'
import { Timeout } from '../../errors.js'
import type { Clock } from '../../ports/clock.js'

/**
 * What `step` comes to; or rejects with what `late` makes after `ms`, or with the reason of `signal` when that aborts before.
 * The signal given to `step` then aborts with the same reason, and nobody listens to the step any more.
 */
export async function withinTime<Result>(
  ms: number,
  step: (signal: AbortSignal) => Result | Promise<Result>,
  { clock, signal, late }: { readonly clock: Clock; readonly signal: AbortSignal; readonly late: () => Error },
): Promise<Result> {
  signal.throwIfAborted()
  const own = new AbortController()
  let cancel = (): void => {}
  const ending = new Promise<never>((_, reject) => {
    const end = (reason: unknown): void => {
      own.abort(reason)
      reject(reason)
    }
    const abort = (): void => end(signal.reason)
    const stop = clock.at(clock.now() + ms, () => end(late()))
    signal.addEventListener('abort', abort, { once: true })
    cancel = () => {
      stop()
      signal.removeEventListener('abort', abort)
    }
  })
  try {
    return await Promise.race([step(own.signal), ending])
  } finally {
    cancel()
  }
}

/** What `ctx.withTimeout` does. Rejects with InvalidOption, Timeout, or the reason of the run's signal. */
export async function limitStep<Result>(
  limit: Duration,
  step: (signal: AbortSignal) => Result | Promise<Result>,
  run: { readonly id: string; readonly signal: AbortSignal },
  clock: Clock,
): Promise<Result> {
  const ms = toMs(limit, 'withTimeout.limit')
  if (ms <= 0) throw new InvalidOption('withTimeout.limit', 'a duration above 0', limit)
  if (typeof step !== 'function') throw new InvalidOption('withTimeout.step', 'a function', step)
  return withinTime(ms, step, { clock, signal: run.signal, late: () => new Timeout(run.id, ms, 'step') })
}
