/** The queue machine, its fold and its decisions say the same on every path. */
import { describe, expect, test } from 'vitest'
import { transition } from 'xstate'
import { getAdjacencyMap } from 'xstate/graph'
import { IllegalEvent } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import * as decide from '../../domain/queue/decide.js'
import type { QueueEvent, QueueEventType } from '../../domain/queue/events.js'
import { queueOf, queueStream } from '../../domain/queue/events.js'
import type { QueueState } from '../../domain/queue/evolve.js'
import { evolveQueue } from '../../domain/queue/evolve.js'
import { queueMachine } from '../../domain/queue/machine.js'
import { QueueRegistry } from '../../projections/queue-registry.js'

const TYPES: readonly QueueEventType[] = ['LimitsChanged', 'QueuePaused', 'QueueResumed']
/** Limits by the count of the event: each third one takes the limit away. */
const facts = {
  QueuePaused: () => ({ reason: 'disk' }),
  QueueResumed: () => ({}),
  LimitsChanged: (count: number) => ({ concurrency: count % 3 === 0 ? null : count }),
}
const stream = queueStream('mail')

const event = (type: QueueEventType, count: number): RecordedEvent & QueueEvent =>
  ({
    stream,
    type,
    data: facts[type](count),
    at: count,
    revision: count - 1,
    position: `${count}`,
    id: `e${count}`,
  }) as never

function folded(state: QueueState | undefined, type: QueueEventType, count = 1): QueueState | undefined {
  try {
    return evolveQueue(state, event(type, count))
  } catch (error) {
    if (error instanceof IllegalEvent) return undefined
    throw error
  }
}

function walk(visit: (state: QueueState | undefined, path: readonly QueueEventType[]) => void): void {
  const step = (state: QueueState | undefined, path: readonly QueueEventType[]): void => {
    visit(state, path)
    for (const type of path.length < 5 ? TYPES : []) {
      const next = folded(state, type, path.length + 1)
      if (next !== undefined) step(next, [...path, type])
    }
  }
  step(undefined, [])
}

describe('the life of a queue', () => {
  test('goes on alike in machine and fold, and they refuse the same events', () => {
    walk((state) => {
      const before = queueMachine.resolveState({ value: state?.status ?? 'open', context: {} })
      for (const type of TYPES) {
        const [next] = transition(queueMachine, before, { type })
        expect(folded(state, type)?.status).toBe(before.can({ type }) ? next.value : undefined)
      }
    })
    const graph = getAdjacencyMap(queueMachine, { events: TYPES.map((type) => ({ type })) })
    expect(Object.values(graph).map(({ state }) => state.value)).toEqual(['open', 'paused'])
    expect([...queueMachine.events].sort()).toEqual([...TYPES])
  })

  test('remembers since when and why it is paused, for as long as it is, and the last limit', () => {
    walk((state, path) => {
      if (state === undefined) return
      const at = 1 + path.lastIndexOf('QueuePaused')
      const isPaused = at > 1 + path.lastIndexOf('QueueResumed')
      const limited = 1 + path.lastIndexOf('LimitsChanged')
      expect(state).toEqual({
        ...{ name: 'mail', revision: path.length - 1, status: isPaused ? 'paused' : 'open' },
        ...(isPaused && { pause: { position: `${at}`, at, reason: 'disk' } }),
        ...(limited % 3 !== 0 && { limit: limited }),
      })
    })
  })

  test('is told only what is new: a decision always folds', () => {
    walk((state) => {
      const isPaused = state?.status === 'paused'
      for (const draft of decide.pause('mail', state, 'disk'))
        expect(folded(state, draft.type as 'QueuePaused')).toBeDefined()
      for (const draft of decide.resume('mail', state))
        expect(folded(state, draft.type as 'QueueResumed')).toBeDefined()
      expect(decide.pause('mail', state, undefined)).toEqual(
        isPaused ? [] : [{ stream, type: 'QueuePaused', data: {} }],
      )
      expect(decide.resume('mail', state)).toEqual(isPaused ? [{ stream, type: 'QueueResumed', data: {} }] : [])
      const limit = state?.limit ?? null
      expect(decide.limit('mail', state, limit)).toEqual([])
      const data = { concurrency: limit === null ? 7 : null }
      expect(decide.limit('mail', state, data.concurrency)).toEqual([{ stream, type: 'LimitsChanged', data }])
      expect(decide.whyNoLease('a', state)?.code).toBe(isPaused ? 'JOB_NOT_PENDING' : undefined)
    })
  })

  test('is told from a stream whose name may be empty, or look like another', () => {
    for (const name of ['', 'mail', 'queue-', 'job-1']) expect(queueOf(queueStream(name))).toBe(name)
  })
})

test('the registry knows what is paused or limited, and a checkpoint keeps it', () => {
  const registry = new QueueRegistry()
  const other = { ...event('QueuePaused', 1), stream: queueStream('') }
  const limit = { ...event('LimitsChanged', 1), stream: queueStream('slow') }
  const noMore = { ...event('LimitsChanged', 3), stream: queueStream('slow') }
  for (const each of [event('QueuePaused', 1), other, event('QueueResumed', 2), limit]) registry.apply(each)
  registry.apply({ ...event('QueuePaused', 1), stream: 'worker-queue-mail' })
  const restored = new QueueRegistry()
  restored.restore(JSON.parse(JSON.stringify(registry)))
  for (const each of [registry, restored]) {
    expect([...each.paused]).toEqual([''])
    expect([each.isPaused(''), each.isPaused('mail'), each.isPaused('never heard of')]).toEqual([true, false, false])
    expect([each.get('mail')?.revision, each.get('')?.revision]).toEqual([1, 0])
    expect([each.limitOf('slow'), each.limitOf('mail'), each.limited]).toEqual([1, undefined, 1])
    expect(each.notable().map(({ name }) => name)).toEqual(['', 'slow'])
    each.apply(noMore)
    expect([each.limitOf('slow'), each.limited]).toEqual([undefined, 0])
  }
  expect(() => registry.apply(event('QueueResumed', 3))).toThrow(IllegalEvent)
  expect(registry.get('mail')?.revision).toBe(1)
})
