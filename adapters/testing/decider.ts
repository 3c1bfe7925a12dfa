import type { Outcome } from './outcome.js'

/** A decision apart from the world: what a command makes of a state, and what an event does to it. */
export interface Decider<Command, State, Event> {
  readonly initial: () => State
  /** The events, or why there are none: an error, thrown or given back. */
  readonly decide: (command: Command, state: State) => Event | readonly Event[] | Error
  readonly evolve: (state: State, event: Event) => State
}

/** Given this history of a decider of yours: `.when(command)` tells what it decides. */
export function given<Command, State, Event>(
  decider: Decider<Command, State, Event>,
  ...history: readonly Event[]
): { when(command: Command): Promise<Outcome<Event>> } {
  return {
    when: async (command) => {
      const state = history.reduce(decider.evolve, decider.initial())
      try {
        const decided = decider.decide(command, state)
        if (decided instanceof Error) return { events: [], refusal: decided }
        return { events: Array.isArray(decided) ? decided : [decided as Event] }
      } catch (error) {
        return { events: [], refusal: error instanceof Error ? error : new Error(String(error)) }
      }
    },
  }
}
