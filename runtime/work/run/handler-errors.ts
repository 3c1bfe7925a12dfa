/** What a handler may throw to say more than that it failed. Any other error is tried again, unless its type says otherwise. */
import type { Duration } from '../../../domain/duration.js'
import { toMs } from '../../../domain/duration.js'
import { JobledgerError } from '../../../domain/errors.js'
import { toInstant } from '../../../domain/instant.js'

abstract class HandlerError extends JobledgerError {
  readonly family = 'run'
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message)
    if (options !== undefined && 'cause' in options) this.cause = options.cause
  }
}

/** No further attempt will help: the job ends as failed. */
export class Fatal extends HandlerError {
  readonly code = 'FATAL'
}

/** Worth another attempt, also for a type with `retryOn: 'recoverable-only'`. */
export class Recoverable extends HandlerError {
  readonly code: string = 'RECOVERABLE'
}

/** Try again at this time, whatever the backoff says: a Date, or a wait from now. Throws InvalidOption. */
export class RetryAt extends Recoverable {
  override readonly code = 'RETRY_AT'
  readonly when: Date | Duration
  constructor(
    when: Date | Duration,
    message = 'Asked to be tried again later.',
    options?: { readonly cause?: unknown },
  ) {
    super(message, options)
    toRetryTime(when, 0, 'RetryAt.when')
    this.when = when
  }
}

/** There is nothing to do any more and nothing is wrong: the job ends as succeeded, without a result. */
export class Abort extends HandlerError {
  readonly code = 'ABORT'
}

/** The trigger that made this job makes no sense: the job ends as failed, and its trigger is removed. */
export class BadTrigger extends HandlerError {
  readonly code = 'BAD_TRIGGER'
}

/** The instant (ms) meant by a Date or by a wait from `now`. Throws InvalidOption. */
export function toRetryTime(when: Date | Duration, now: number, option: string): number {
  return toInstant(when instanceof Date ? when : now + toMs(when, option), option)
}

/** Whether another attempt may follow, as far as the error and the type of the job have a say in it. */
export function isRetryable(thrown: unknown, retryOn: 'recoverable-only' | undefined): boolean {
  if (isA(thrown, Fatal) || isA(thrown, BadTrigger)) return false
  return retryOn === undefined || isA(thrown, Recoverable)
}

/** A revoked proxy throws when it is asked what it is. */
export function isA<T>(thrown: unknown, kind: abstract new (...given: never[]) => T): thrown is T {
  try {
    return thrown instanceof kind
  } catch {
    return false
  }
}
