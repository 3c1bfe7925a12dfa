/** A value that follows the course of one run through all it awaits. */
export interface Scope<T> {
  /** Until what `call` gives back has settled. */
  run<R>(value: T, call: () => R): R
  current(): T | undefined
}
