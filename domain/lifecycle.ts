/** A machine as a flat table. */
import type { AnyStateMachine } from 'xstate'
import { createMachine, transition } from 'xstate'
import { InvalidOption } from './errors.js'

export type Lifecycle<State extends string, Type extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Type, State>>>>
>

/** From state and event to the next state, or undefined: looking a step up takes nanoseconds, `transition()` 12 us. */
export function compileLifecycle<State extends string, Type extends string>(
  machine: AnyStateMachine,
  states: readonly State[],
  types: readonly Type[],
): Lifecycle<State, Type> {
  const rows = states.map((state) => [state, rowOf(machine, state, types)] as const)
  return Object.freeze(Object.fromEntries(rows)) as Lifecycle<State, Type>
}

/** Without a prototype: an event called `toString` or `constructor` is not in it. */
function rowOf<State extends string, Type extends string>(
  machine: AnyStateMachine,
  state: State,
  types: readonly Type[],
): Readonly<Partial<Record<Type, State>>> {
  const before = machine.resolveState({ value: state, context: {} })
  // Asked before the step: XState answers an event it refuses and one that leads back to the same state alike, with the
  // very same snapshot.
  const steps = types.filter((type) => before.can({ type })).map((type) => [type, stepFrom(machine, before, type)])
  return Object.freeze(Object.assign(Object.create(null), Object.fromEntries(steps)))
}

function stepFrom(machine: AnyStateMachine, before: Parameters<typeof transition>[1], type: string): unknown {
  const [after] = transition(machine, before as never, { type })
  return (after as { readonly value: unknown }).value
}

/** A machine that is not the one in use. */
export interface Candidate {
  readonly initial: string
  readonly table: Lifecycle<string, string>
}

/** `given`: a machine of XState, or its config; its states are flat. Throws InvalidOption that names `option`. */
export function compileCandidate(given: unknown, types: readonly string[], option: string): Candidate {
  const machine = toMachine(given, option)
  const states = Object.keys(machine.states)
  const { initial } = machine.config
  if (typeof initial !== 'string') throw new InvalidOption(`${option}.initial`, `one of ${states.join(', ')}`, initial)
  const nested = states.find((state) => Object.keys(machine.states[state]?.states ?? {}).length > 0)
  if (nested !== undefined)
    throw new InvalidOption(`${option}.states.${nested}`, 'a state without states in it', nested)
  return { initial, table: compileLifecycle(machine, states, types) }
}

function toMachine(given: unknown, option: string): AnyStateMachine {
  const expected = 'a machine of XState, or its config'
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new InvalidOption(option, expected, given)
  if (!('states' in given)) throw new InvalidOption(option, expected, given)
  try {
    return 'resolveState' in given
      ? (given as AnyStateMachine)
      : createMachine(given as Parameters<typeof createMachine>[0])
  } catch (error) {
    throw new InvalidOption(option, expected, error instanceof Error ? error.message : error)
  }
}
