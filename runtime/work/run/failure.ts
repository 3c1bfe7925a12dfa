import type { Failure } from '../../../domain/job/decide.js'

/** UTF-16 units of an error's message and of its stack that are recorded. */
const LONGEST = 32_768

/** What is recorded of an error. Anything may be thrown, also undefined, and also something that throws when looked at. */
export function toFailure(thrown: unknown, cause: Failure['cause']): Failure {
  const { name, message, stack } = describe(thrown)
  return { cause, error: name, details: JSON.stringify({ message: cut(message), stack: cut(stack) }), retryable: true }
}

function cut<T extends string | undefined>(text: T): T {
  return (text !== undefined && text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text) as T
}

function describe(thrown: unknown): { name: string; message: string; stack: string | undefined } {
  try {
    if (!(thrown instanceof Error)) return { name: 'NonError', message: `${thrown}`, stack: undefined }
    return {
      name: `${thrown.name}`.slice(0, 200) || 'Error',
      message: `${thrown.message}`,
      stack: thrown.stack && `${thrown.stack}`,
    }
  } catch {
    return { name: 'NonError', message: 'a value that cannot be shown', stack: undefined }
  }
}
