/** The worker machine and its fold say the same on every path. */
import { describe, expect, test } from 'vitest'
import { transition } from 'xstate'
import { getAdjacencyMap } from 'xstate/graph'
import { IllegalEvent } from '../../domain/errors.js'
import { register, tell } from '../../domain/worker/decide.js'
import type { WorkerEvent, WorkerEventMap, WorkerEventType } from '../../domain/worker/events.js'
import { workerStream } from '../../domain/worker/events.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import { evolveWorker } from '../../domain/worker/evolve.js'
import { workerMachine } from '../../domain/worker/machine.js'

const DEPTH = 6
const identity = { host: 'h', bootId: 'b', pidNamespace: 'n', pid: 1, startTime: '1' }
const facts: WorkerEventMap = {
  WorkerRegistered: { process: identity, types: ['mail'], concurrency: 4 },
  WorkerBeat: {},
  WorkerDraining: {},
  WorkerStopped: {},
  WorkerLost: { reason: 'silent' },
}
const TYPES = Object.keys(facts) as WorkerEventType[]

const event = (type: WorkerEventType, at = 1): WorkerEvent =>
  ({ stream: workerStream('w1'), type, at, data: facts[type] }) as WorkerEvent

function folded(state: WorkerState | undefined, type: WorkerEventType, at: number): WorkerState | undefined {
  try {
    return evolveWorker(state, event(type, at))
  } catch (error) {
    if (error instanceof IllegalEvent) return undefined
    throw error
  }
}

/** All statuses and how they are reached. */
function walk(visit: (state: WorkerState | undefined, path: readonly WorkerEventType[]) => void): void {
  const step = (state: WorkerState | undefined, path: readonly WorkerEventType[]): void => {
    visit(state, path)
    if (path.length === DEPTH) return
    for (const type of TYPES) {
      const next = folded(state, type, path.length + 1)
      if (next !== undefined) step(next, [...path, type])
    }
  }
  step(undefined, [])
}

describe('the life of a worker', { timeout: 0 }, () => {
  test('goes on alike in machine and fold on every path, and they refuse the same events', () => {
    walk((state, path) => {
      const before = workerMachine.resolveState({ value: state?.status ?? 'absent', context: {} })
      for (const type of TYPES) {
        const [next] = transition(workerMachine, before, { type })
        const machine = before.can({ type }) ? next.value : undefined
        expect(folded(state, type, 1)?.status, `${type} after ${path.join(' ')}`).toBe(machine)
      }
    })
  })

  test('reaches every state', () => {
    const graph = getAdjacencyMap(workerMachine, { events: TYPES.map((type) => ({ type })) })
    const reached = Object.values(graph).map(({ state }) => String(state.value))
    expect(reached.sort()).toEqual(Object.keys(workerMachine.states).sort())
    expect([...workerMachine.events].sort()).toEqual([...TYPES].sort())
  })

  test('counts revisions, and every event is a sign of life', () => {
    walk((state, path) => {
      if (state === undefined) return
      expect(state).toMatchObject({ id: 'w1', revision: path.length - 1, registeredAt: 1, lastSeenAt: path.length })
    })
  })

  test('is told only what the machine allows: a decision always folds, a refusal is of a worker that is unknown or gone', () => {
    walk((state) => {
      for (const type of TYPES) expectLegal(state, type)
    })
  })
})

function expectLegal(state: WorkerState | undefined, type: WorkerEventType): void {
  const decision =
    type === 'WorkerRegistered' ? register('w1', state, facts[type]) : tell('w1', state, type, facts[type])
  expect(decision instanceof Error ? decision.code : undefined).toBe(refusalOf(state, type))
  if (decision instanceof Error) return
  expect(decision.length).toBe(type === 'WorkerDraining' && state?.status === 'draining' ? 0 : 1)
  for (const draft of decision) expect(folded(state, draft.type as WorkerEventType, 1), draft.type).toBeDefined()
}

function refusalOf(state: WorkerState | undefined, type: WorkerEventType): string | undefined {
  if (type === 'WorkerRegistered') return state === undefined ? undefined : 'WORKER_GONE'
  if (state === undefined) return 'WORKER_UNKNOWN'
  return state.status === 'stopped' || state.status === 'lost' ? 'WORKER_GONE' : undefined
}
