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

const DEPTH = 5
const identity = { host: 'h', bootId: 'b', pidNamespace: 'n', pid: 1, startTime: '1' }
const facts: WorkerEventMap = {
  WorkerRegistered: { process: identity, types: ['mail'], concurrency: 4 },
  WorkerBeat: { position: '7' },
  WorkerPaused: { reason: 'disk' },
  WorkerResumed: {},
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

  test('counts revisions, and every event is a sign of life but those that others write', () => {
    walk((state, path) => {
      if (state === undefined) return
      const lastSeenAt = path.findLastIndex((type) => type !== 'WorkerPaused' && type !== 'WorkerResumed') + 1
      expect(state).toMatchObject({ id: 'w1', revision: path.length - 1, registeredAt: 1, lastSeenAt })
    })
  })

  test('remembers how far it has followed the log, and why it is paused for as long as it is', () => {
    walk((state, path) => {
      if (state === undefined) return
      expect(state.seenTo).toBe(path.includes('WorkerBeat') ? '7' : undefined)
      expect(state.pause?.reason).toBe(state.status === 'paused' ? 'disk' : undefined)
    })
    const paused = folded(folded(undefined, 'WorkerRegistered', 1), 'WorkerPaused', 2)
    const idle: WorkerEvent = { stream: workerStream('w1'), type: 'WorkerBeat', at: 3, data: {} }
    expect(evolveWorker(evolveWorker(paused, event('WorkerBeat')), idle)).toMatchObject({
      seenTo: '7',
      pause: { reason: 'disk', position: '' },
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
  expect(decision.length).toBe(saysNothing(state, type) ? 0 : 1)
  for (const draft of decision) expect(folded(state, draft.type as WorkerEventType, 1), draft.type).toBeDefined()
}

function saysNothing(state: WorkerState | undefined, type: WorkerEventType): boolean {
  const status = state?.status
  if (type === 'WorkerPaused') return status === 'paused' || status === 'draining'
  return (type === 'WorkerResumed' && status === 'active') || (type === 'WorkerDraining' && status === 'draining')
}

function refusalOf(state: WorkerState | undefined, type: WorkerEventType): string | undefined {
  if (type === 'WorkerRegistered') return state === undefined ? undefined : 'WORKER_GONE'
  if (state === undefined) return 'WORKER_UNKNOWN'
  const isOver = ['stopped', 'lost', ...(type === 'WorkerResumed' ? ['draining'] : [])].includes(state.status)
  return isOver ? 'WORKER_GONE' : undefined
}
