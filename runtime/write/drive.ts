/**
 * Runs steps that may or may not be asynchronous: a transaction of better-sqlite3 is over before a promise is settled, one of
 * PostgreSQL needs promises. Each step yields a value or a promise and is given what came of it; the answer is a promise only
 * if a step was.
 */
export type Steps<A> = Generator<unknown, A, unknown>

export function drive<A>(steps: Steps<A>): A | Promise<A> {
  return proceed(steps, steps.next())
}

function proceed<A>(steps: Steps<A>, first: IteratorResult<unknown, A>): A | Promise<A> {
  let step = first
  while (!step.done) {
    if (step.value instanceof Promise) {
      return step.value.then(
        (value) => proceed(steps, steps.next(value)),
        (error) => proceed(steps, steps.throw(error)),
      )
    }
    step = steps.next(step.value)
  }
  return step.value
}
