/** The machine is the statement. The table that the hot path uses and the folds must say just the same, everywhere. */
import { describe, expect, test } from 'vitest'
import type { AnyMachineSnapshot } from 'xstate'
import { transition } from 'xstate'
import { getAdjacencyMap, getSimplePaths } from 'xstate/graph'
import { IllegalEvent } from '../../domain/errors.js'
import type { JobEvent, JobEventType } from '../../domain/job/events.js'
import { JOB_EVENT_TYPES } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { Phase } from '../../domain/job/lifecycle.js'
import { lifecycle, nextPhase, PHASES } from '../../domain/job/lifecycle.js'
import { jobMachine } from '../../domain/job/machine.js'
import { plausible } from '../domain/support/jobs.js'

/** Every legal sequence of events up to this long, and every event after each: some 400 histories. */
const DEPTH = 6
const EVENTS = JOB_EVENT_TYPES.map((type) => ({ type }))

/** Names that are no events of a job: properties that every object has, and XState's own. */
const STRANGERS = [
  'toString',
  'constructor',
  '__proto__',
  'hasOwnProperty',
  '',
  '*',
  'queued',
  'xstate.init',
  'xstate.stop',
]

/** Where a step leads, or undefined where it is refused, as each of the three says. */
interface Step {
  readonly machine: string | undefined
  readonly table: string | undefined
  readonly fold: string | undefined
}

function stepOf(snapshot: AnyMachineSnapshot, state: JobState | undefined, type: JobEventType): Step {
  const [next] = transition(jobMachine, snapshot, { type })
  return {
    machine: snapshot.can({ type }) ? String(next.value) : undefined,
    table: nextPhase(state?.phase ?? 'absent', type),
    fold: folded(state, type)?.phase,
  }
}

function folded(state: JobState | undefined, type: JobEventType): JobState | undefined {
  try {
    return evolve(state, plausible(type, state))
  } catch (error) {
    if (error instanceof IllegalEvent) return undefined
    throw error
  }
}

interface Node {
  readonly state: AnyMachineSnapshot
  readonly transitions: Readonly<
    Record<string, { readonly state: AnyMachineSnapshot; readonly event: { readonly type: string } }>
  >
}

describe('the life of a job', { timeout: 0 }, () => {
  test('goes on alike in machine, table and fold on every path, and they refuse the same events', () => {
    let histories = 0
    const walk = (snapshot: AnyMachineSnapshot, state: JobState | undefined, path: readonly string[]): void => {
      histories += 1
      for (const type of JOB_EVENT_TYPES) {
        const { machine, table, fold } = stepOf(snapshot, state, type)
        if (machine !== table || machine !== fold) expect({ path, type, machine, table, fold }).toBe('agreed')
        if (machine === undefined || path.length + 1 === DEPTH) continue
        walk(jobMachine.resolveState({ value: machine, context: {} }), folded(state, type), [...path, type])
      }
    }
    walk(jobMachine.resolveState({ value: 'absent', context: {} }), undefined, [])
    expect(histories).toBeGreaterThan(300)
  })

  test('has every state of the machine in the table, and no other', () => {
    expect([...PHASES].sort()).toEqual(Object.keys(jobMachine.states).sort())
    expect(Object.keys(lifecycle).sort()).toEqual([...PHASES].sort())
  })

  test('has every event of the machine among the event types, and no other', () => {
    expect([...jobMachine.events].sort()).toEqual([...JOB_EVENT_TYPES].sort())
  })

  test('reaches every state, and the graph of the machine is the table', () => {
    const graph = getAdjacencyMap(jobMachine, { events: EVENTS })
    const states: readonly Node[] = Object.values(graph)
    expect(states.map(({ state }) => String(state.value)).sort()).toEqual([...PHASES].sort())
    for (const { state, transitions } of states) {
      const phase = state.value as Phase
      const steps = Object.values(transitions).filter(({ event }) => state.can(event))
      expect(Object.fromEntries(steps.map(({ event, state: next }) => [event.type, next.value]))).toEqual({
        ...lifecycle[phase],
      })
    }
  })

  test('folds along every simple path of the graph to the state that the path ends in', () => {
    const paths = getSimplePaths(jobMachine, { events: EVENTS })
    expect(paths.length).toBeGreaterThan(PHASES.length)
    for (const { state, steps } of paths) {
      const types = steps
        .map(({ event }) => event.type as string)
        .filter((type) => type !== 'xstate.init') as JobEventType[]
      const job = types.reduce<JobState | undefined>(
        (before, type) => evolve(before, plausible(type, before)),
        undefined,
      )
      expect(job?.phase ?? 'absent').toBe(state.value)
    }
  })

  test('goes on through what leads back to the same state', () => {
    const back = PHASES.flatMap((phase) =>
      JOB_EVENT_TYPES.filter((type) => nextPhase(phase, type) === phase).map((type) => `${phase} ${type}`),
    )
    expect(back).toEqual([
      'waiting Rescheduled',
      'waiting Expunged',
      'leased Heartbeat',
      'leased Expunged',
      'ended Expunged',
      'ended Condemned',
    ])
  })

  test.each(STRANGERS)('knows no event called %j in any state', (name) => {
    const type = name as JobEventType
    const event = { ...plausible('Queued', undefined), type } as JobEvent
    for (const phase of PHASES) {
      expect(nextPhase(phase, type), phase).toBeUndefined()
      expect(() => evolve(phase === 'absent' ? undefined : ({ phase } as JobState), event), phase).toThrow(IllegalEvent)
    }
  })

  test('has no time, no invoked and no final state in it: an operator may always send an ended job round again', () => {
    for (const state of Object.values(jobMachine.states)) {
      const { type, invoke, after, always } = state
      expect({ type, invoke, after, always }).toEqual({ type: 'atomic', invoke: [], after: [], always: undefined })
    }
  })

  test('begins with Queued, or with the Retried that brings the job to those who have let go of it, and nothing else', () => {
    const first = JOB_EVENT_TYPES.filter((type) => folded(undefined, type) !== undefined)
    expect(first).toEqual(['Queued'])
    const ended = ['Queued', 'Cancelled'].reduce<JobState | undefined>(
      (state, type) => evolve(state, plausible(type as JobEventType, state)),
      undefined,
    )
    expect(evolve(undefined, plausible('Retried', ended)).phase).toBe('waiting')
  })
})
