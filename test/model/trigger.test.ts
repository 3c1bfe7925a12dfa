/** The trigger machine, its fold and its decisions say the same on every path. */
import { describe, expect, test } from 'vitest'
import { transition } from 'xstate'
import { getAdjacencyMap } from 'xstate/graph'
import { IllegalEvent } from '../../domain/errors.js'
import type { Draft } from '../../domain/event.js'
import * as decide from '../../domain/trigger/decide.js'
import type { TriggerEvent, TriggerEventMap, TriggerEventType } from '../../domain/trigger/events.js'
import { isTriggerStream, TRIGGER_EVENT_TYPES, triggerIdOf, triggerStream } from '../../domain/trigger/events.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import { dueAt, evolveTrigger } from '../../domain/trigger/evolve.js'
import { triggerMachine } from '../../domain/trigger/machine.js'
import { EVERY_MINUTE, stamped, TRIGGER, told } from '../domain/support/triggers.js'

const DEPTH = 5
const MINUTE = 60_000
const definition = { ...EVERY_MINUTE, debounce: { ms: 10, combine: 'append' } } as const
/** What each says at the instant `at`, of something that repeats. */
const facts = (at: number): TriggerEventMap => ({
  TriggerAdded: { ...definition, nextAt: at + MINUTE },
  TriggerUpdated: { ...definition, nextAt: at + 2 * MINUTE, keepsPayload: true },
  TriggerPaused: { reason: 'disk' },
  TriggerResumed: { nextAt: at + 3 * MINUTE },
  TriggerFired: { occurrence: at, jobId: `job${at}`, by: 'time', nextAt: at + 4 * MINUTE },
  TriggerMissed: { reason: 'late', occurrence: at, count: 2 },
  DebounceOpened: { by: 'webhook', until: at + 10, combine: 'append', bytes: 3 },
  DebounceCollected: { by: 'webhook', bytes: 3 },
  TriggerRemoved: { by: 'operator' },
})

const event = (type: TriggerEventType, at = 1): TriggerEvent => stamped(told(type, facts(at)[type]), at)

function folded(state: TriggerState | undefined, one: TriggerEvent): TriggerState | undefined {
  try {
    return evolveTrigger(state, one)
  } catch (error) {
    if (error instanceof IllegalEvent) return undefined
    throw error
  }
}

type Path = readonly TriggerEventType[]

/** All states and how they are reached. */
function walk(visit: (state: TriggerState | undefined, path: Path) => void): void {
  const step = (state: TriggerState | undefined, path: Path): void => {
    visit(state, path)
    if (path.length === DEPTH) return
    for (const type of TRIGGER_EVENT_TYPES) {
      const next = isOf(type, state) ? folded(state, event(type, path.length + 1)) : undefined
      if (next !== undefined) step(next, [...path, type])
    }
  }
  step(undefined, [])
}

/** A window is opened once, and what comes after that is one more of it. */
function isOf(type: TriggerEventType, state: TriggerState | undefined): boolean {
  if (type === 'DebounceOpened') return state?.window === undefined
  return type !== 'DebounceCollected' || state?.window !== undefined
}

const count = (path: Path, type: TriggerEventType): number => path.filter((one) => one === type).length

/** What came since it was last added. */
const life = (path: Path): Path => path.slice(path.lastIndexOf('TriggerAdded'))

describe('the life of a trigger', { timeout: 0 }, () => {
  test('goes on alike in machine and fold on every path, and they refuse the same events', () => {
    const befores = new Map(
      Object.keys(triggerMachine.states).map((value) => [value, triggerMachine.resolveState({ value, context: {} })]),
    )
    let paths = 0
    walk((state, path) => {
      paths += 1
      const before = befores.get(state?.status ?? 'absent') as ReturnType<typeof triggerMachine.resolveState>
      for (const type of TRIGGER_EVENT_TYPES) {
        const [next] = transition(triggerMachine, before, { type })
        // The machine knows no windows: that there is one to collect into is the fold's to say.
        const isWindowless = type === 'DebounceCollected' && state?.window === undefined
        const machine = before.can({ type }) && !isWindowless ? next.value : undefined
        const fold = folded(state, event(type, 9))?.status
        if (fold !== machine) expect({ path, type, fold, machine }).toBe('agreed')
      }
    })
    expect(paths).toBeGreaterThan(900)
  })

  test('reaches every state, and the machine knows every event and no other', () => {
    const graph = getAdjacencyMap(triggerMachine, { events: TRIGGER_EVENT_TYPES.map((type) => ({ type })) })
    const reached = Object.values(graph).map(({ state }) => String(state.value))
    expect(reached.sort()).toEqual(Object.keys(triggerMachine.states).sort())
    expect([...triggerMachine.events].sort()).toEqual([...TRIGGER_EVENT_TYPES].sort())
    expect(Object.keys(facts(1)).sort()).toEqual([...TRIGGER_EVENT_TYPES].sort())
  })

  test.each(['toString', 'constructor', '', '*', 'triggerAdded', 'xstate.init', 'Queued'])(
    'knows no event called %j in any state',
    (type) => {
      for (const status of [undefined, 'active', 'paused', 'removed'] as const) {
        const state = status && ({ ...folded(undefined, event('TriggerAdded')), status } as TriggerState)
        expect(() => evolveTrigger(state, { ...event('TriggerAdded'), type } as never)).toThrow(IllegalEvent)
      }
    },
  )

  test('has no time, no invoked and no final state in it: what was removed may be added again', () => {
    for (const { type, invoke, after, always } of Object.values(triggerMachine.states)) {
      expect({ type, invoke, after, always }).toEqual({ type: 'atomic', invoke: [], after: [], always: undefined })
    }
  })

  test('counts revisions, firings and what was missed, and begins anew when it is added again', () => {
    walk((state, path) => {
      if (state === undefined) return
      const since = life(path)
      const addedAt = path.lastIndexOf('TriggerAdded') + 1
      const definedAt = Math.max(addedAt, path.lastIndexOf('TriggerUpdated') + 1)
      expect(state).toMatchObject({
        ...{ id: TRIGGER, revision: path.length - 1, addedAt, definedAt, payloadAt: addedAt - 1 },
        ...{ fired: count(since, 'TriggerFired'), missed: 2 * count(since, 'TriggerMissed') },
      })
    })
  })

  test('has time to do with it only while it is active: at its next instant, or at the end of a window', () => {
    walk((state, path) => {
      if (state === undefined) return
      expect(state.pause?.reason).toBe(isPaused(path) ? 'disk' : undefined)
      if (state.status !== 'active') return expect(dueAt(state)).toBeUndefined()
      expect(dueAt(state)).toBe(Math.min(state.nextAt as number, state.window?.until ?? Number.POSITIVE_INFINITY))
    })
  })

  test('is told only what the machine allows: a decision always folds, a refusal is of one that is not there', () => {
    walk((state, path) => {
      for (const [verb, drafts] of Object.entries(decisions(state, path.length + 1))) expectLegal(state, verb, drafts)
    })
  })

  test('is told from a stream whose name may look like another', () => {
    for (const id of ['', 'daily', 'trigger-', 'job-1']) expect(triggerIdOf(triggerStream(id))).toBe(id)
    expect([isTriggerStream('trigger-a'), isTriggerStream('job-trigger-a')]).toEqual([true, false])
  })
})

/** A pause is over when it is resumed; what was removed keeps it as it was, and is shown to nobody. */
function isPaused(path: Path): boolean {
  return (
    path.lastIndexOf('TriggerPaused') > Math.max(path.lastIndexOf('TriggerResumed'), path.lastIndexOf('TriggerAdded'))
  )
}

/** All that can be asked of it in this state. */
function decisions(state: TriggerState | undefined, now: number): Record<string, readonly Draft[]> {
  const given = { facts: definition, payload: '"p"' }
  const add = decide.add(TRIGGER, state, given, false, now).drafts
  const present = decide.present(TRIGGER, state)
  if (present instanceof Error) {
    expect(present.code).toBe('TRIGGER_UNKNOWN')
    expect(state === undefined || state.status === 'removed').toBe(true)
    // A firing whose job was refused may have been its last.
    return state === undefined ? { add } : { add, miss: decide.miss(state, facts(now).TriggerMissed) }
  }
  const late = { ...present, nextAt: present.nextAt as number }
  const judged = decide.judgeDue(late, late.nextAt + MINUTE)
  const verbs = {
    add,
    update: decide.update(TRIGGER, present, given, now),
    pause: decide.pause(TRIGGER, present, 'disk'),
    resume: decide.resume(TRIGGER, present, now),
    remove: decide.remove(TRIGGER, { by: 'operator' }),
    fire: decide.fire(present, { ...facts(now).TriggerFired, nextAt: judged.nextAt as number }),
    miss: decide.miss(present, facts(now).TriggerMissed),
  }
  if (present.status === 'paused') return verbs
  const waits = { ...present, debounce: definition.debounce }
  return { ...verbs, collect: decide.collect(waits, { by: 'webhook', bytes: 3 }, '"p"', now) }
}

function expectLegal(state: TriggerState | undefined, verb: string, drafts: readonly Draft[]): void {
  const isNothing =
    (verb === 'pause' && state?.status === 'paused') || (verb === 'resume' && state?.status === 'active')
  expect(drafts.length, verb).toBe(isNothing ? 0 : 1)
  const end = drafts.reduce<TriggerState | undefined>((before, draft) => folded(before, stamped(draft, 9)), state)
  expect(isNothing || end !== undefined, verb).toBe(true)
}
