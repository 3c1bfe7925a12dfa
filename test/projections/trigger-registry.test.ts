/** What is to be done about triggers, as it follows from the log; a checkpoint in between changes nothing of it. */
import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import type { TriggerFacts } from '../../domain/trigger/events.js'
import { JobBoard } from '../../projections/job-board.js'
import type { Owed, SavedTriggers } from '../../projections/trigger-registry.js'
import { TriggerRegistry } from '../../projections/trigger-registry.js'
import { facts } from '../domain/support/jobs.js'
import { EVERY_MINUTE, WEBHOOK } from '../domain/support/triggers.js'
import { readEvents, scenarios } from '../golden/reading.js'

/** Folds events as the feed does, one a second. */
class Log {
  readonly board = new JobBoard()
  registry = new TriggerRegistry()
  at = 0
  #count = 0
  readonly #revisions = new Map<string, number>()

  write(stream: string, type: string, data: object = {}): this {
    this.#count += 1
    this.at += 1_000
    const revision = (this.#revisions.get(stream) ?? -1) + 1
    this.#revisions.set(stream, revision)
    const position = String(this.#count).padStart(4, '0')
    return this.fold({ stream, type, data, revision, position, at: this.at, id: `e${this.#count}` })
  }

  fold(event: RecordedEvent): this {
    const change = this.board.apply(event, event.at)
    if (change === undefined) this.registry.apply(event)
    else this.registry.follow(change)
    return this
  }

  trigger(type: string, data: object = {}, id = 't'): this {
    return this.write(`trigger-${id}`, type, data)
  }

  /** A job, queued. */
  queue(id: string, more: object = {}): this {
    return this.write(`job-${id}`, 'Queued', { ...facts(), ...more })
  }

  lease(id: string): this {
    return this.write(`job-${id}`, 'Leased', { token: id, workerId: 'w', run: 1, attempt: 1, expiresAt: 1e9 })
  }

  /** Its run, to the end. */
  run(id: string, error?: string): this {
    const failed = { token: id, run: 1, attempt: 1, cause: 'error', error, retryable: false }
    this.lease(id)
    if (error === undefined) return this.write(`job-${id}`, 'Finished', { outcome: 'succeeded' })
    return this.write(`job-${id}`, 'Failed', failed).write(`job-${id}`, 'Finished', { outcome: 'failed', error })
  }

  /** The registry as a restart finds it. */
  restart(): this {
    this.registry = restored(this.registry)
    return this
  }

  due(now: number): string[] {
    return [...this.registry.due(now)].map(({ id }) => id)
  }

  owed(): string[] {
    return [...this.registry.owed].map(({ triggerId, source }) => `${triggerId} ${source}`)
  }
}

function restored(registry: TriggerRegistry): TriggerRegistry {
  const copy = new TriggerRegistry()
  copy.restore(JSON.parse(JSON.stringify(registry)) as SavedTriggers)
  return copy
}

const timed = (nextAt: number): object => ({ ...EVERY_MINUTE, nextAt })
const fired = (more: object = {}): object => ({ occurrence: 0, jobId: 'j', by: 'time', ...more })
const on = (type: string, more: Partial<TriggerFacts> = {}): TriggerFacts => {
  return { type: 'mail', schedule: { kind: 'event', when: type, rules: [{ type }] }, ...more }
}

/** Each as it is, and after a restart. */
const LIVES: readonly (readonly [string, (log: Log) => Log])[] = [
  ['told by the log', (log) => log],
  ['told by a checkpoint', (log) => log.restart()],
]

describe.each(LIVES)('what time has to do with triggers, %s', (_, live) => {
  test('is seen once its instant has come, and stays until something is done about it', () => {
    const log = live(new Log().trigger('TriggerAdded', timed(50_000)))
    expect([log.due(49_999), log.registry.nextDeadline()]).toEqual([[], 50_000])
    expect([log.due(50_000), log.registry.nextDeadline()]).toEqual([['t'], undefined])
    // Also where the clock is put back.
    expect([log.due(10), log.due(10)]).toEqual([['t'], ['t']])
    live(log.trigger('TriggerFired', fired({ nextAt: 60_000 })))
    expect([log.due(50_000), log.registry.nextDeadline()]).toEqual([[], 60_000])
  })

  test('forgets an instant that is not waited for any more, and minds one that is again', () => {
    const log = new Log().trigger('TriggerAdded', timed(50_000)).trigger('TriggerUpdated', timed(90_000))
    live(log)
    expect([log.due(50_000), log.registry.nextDeadline()]).toEqual([[], 90_000])
    live(log.trigger('TriggerUpdated', timed(50_000)))
    expect(log.due(50_000)).toEqual(['t'])
    live(log.trigger('TriggerPaused'))
    expect([log.due(1e9), log.registry.nextDeadline()]).toEqual([[], undefined])
    live(log.trigger('TriggerResumed', { nextAt: 50_000 }))
    expect([log.due(1), log.registry.nextDeadline()]).toEqual([[], 50_000])
    expect(log.due(50_000)).toEqual(['t'])
    live(log.trigger('TriggerRemoved', { by: 'operator' }))
    expect([log.due(1e9), log.registry.nextDeadline(), log.registry.get('t')]).toEqual([[], undefined, undefined])
  })

  test('tells the earliest of many, whichever have been seen to pass', () => {
    const log = new Log()
    for (const [id, at] of Object.entries({ a: 30, b: 10, c: 20, d: 10 })) log.trigger('TriggerAdded', timed(at), id)
    live(log)
    expect([log.registry.nextDeadline(), log.due(10).sort(), log.registry.nextDeadline()]).toEqual([10, ['b', 'd'], 20])
    log.trigger('TriggerFired', fired({ nextAt: 15 }), 'b').trigger('TriggerUpdated', timed(20), 'a')
    live(log)
    expect([log.due(10), log.registry.nextDeadline()]).toEqual([['d'], 15])
    expect([log.due(20).sort(), log.registry.nextDeadline()]).toEqual([['a', 'b', 'c', 'd'], undefined])
  })

  test('is the end of a window where that comes first, and the next instant after it', () => {
    const opened = { by: 'webhook', until: 40, combine: 'drop' }
    const log = live(new Log().trigger('TriggerAdded', timed(90)).trigger('DebounceOpened', opened))
    expect([log.due(40), log.registry.nextDeadline()]).toEqual([['t'], undefined])
    live(log.trigger('TriggerFired', fired({ collected: 1 })))
    expect([log.due(40), log.registry.nextDeadline()]).toEqual([[], 90])
  })
})

describe.each(LIVES)('events of the log that a trigger asks for, %s', (_, live) => {
  test('are owed an answer in the order of the log, until it has come', () => {
    const log = new Log().trigger('TriggerAdded', on('job/mail')).trigger('TriggerAdded', on('job/*'), 'all')
    live(log.trigger('TriggerAdded', on('mail*'), 'others').queue('a').queue('b', { type: 'letter' }).run('a'))
    const owed = ['t e4', 'all e4', 'all e5', 't e6', 'all e6', 't e7', 'all e7']
    expect(log.owed()).toEqual(owed)
    log
      .trigger('TriggerFired', fired({ by: 'event', source: 'e4' }))
      .trigger('TriggerMissed', { occurrence: 0, reason: 'skipped', by: 'event', source: 'e5' }, 'all')
      .trigger('DebounceOpened', { by: 'event', until: 1, combine: 'drop', source: 'e6' }, 'all')
      .trigger('DebounceCollected', { by: 'event', source: 'e7' }, 'all')
      .trigger('TriggerFired', fired({ by: 'hand' }))
    expect(live(log).owed()).toEqual(['all e4', 't e6', 't e7'])
  })

  test('tell what the job is and was, and in whose course', () => {
    const trigger = { id: 'before', occurrence: 5 }
    const log = live(new Log().trigger('TriggerAdded', on('job/mail')).queue('a', { trigger, chain: ['first'] }))
    live(log.lease('a'))
    const job = { id: 'a', type: 'mail', queue: 'default', channel: '', priority: 0 }
    const [created, leased] = [...log.registry.owed] as [Owed, Owed]
    const waiting = { ...job, run: 0, attempt: 0, state: 'waiting' }
    expect(created).toEqual({
      ...{ triggerId: 't', source: 'e2', at: 2_000, chain: ['first', 'before'] },
      event: { type: 'job/mail', verb: 'CREATED', id: 'a', document: waiting },
    })
    const running = { ...waiting, run: 1, state: 'running' }
    expect(leased.event).toEqual({ type: 'job/mail', verb: 'UPDATED', id: 'a', document: running, old: waiting })
  })

  test('are heard by active triggers only, and in their own channel', () => {
    const log = new Log()
      .trigger('TriggerAdded', on('job/mail', { options: { channel: 'c1' } }))
      .trigger('TriggerAdded', on('job/mail'), 'paused')
      .trigger('TriggerPaused', {}, 'paused')
      .trigger('TriggerAdded', on('job/mail'), 'gone')
      .queue('a')
    expect(live(log).owed()).toEqual(['gone e5'])
    live(log.trigger('TriggerRemoved', { by: 'operator' }, 'gone').queue('b', { channel: 'c1' }))
    expect(log.owed()).toEqual(['t e7'])
    live(log.trigger('TriggerResumed', {}, 'paused').queue('c'))
    expect(log.owed()).toEqual(['t e7', 'paused e9'])
  })

  test('are not owed any more once it asks for others', () => {
    const log = new Log().trigger('TriggerAdded', on('job/*')).queue('a').queue('b', { type: 'letter' })
    live(log.trigger('TriggerUpdated', on('job/letter')))
    expect(log.owed()).toEqual(['t e3'])
    expect([log.registry.owes('t', 'e3'), log.registry.owes('t', 'e2')]).toEqual([true, false])
    expect(live(log.trigger('TriggerUpdated', WEBHOOK)).owed()).toEqual([])
  })

  test('are none where nothing of the job has changed', () => {
    const log = new Log().trigger('TriggerAdded', on('job/mail')).queue('a').lease('a')
    live(log.write('job-a', 'Heartbeat', { token: 'a', expiresAt: 2e9, progress: 0.5 }))
    expect(log.owed()).toEqual(['t e2', 't e3'])
  })
})

test('what changes for a checkpoint is counted, and nothing else is', () => {
  const log = new Log()
  let [text, writes] = [JSON.stringify(log.registry), log.registry.writes]
  const steps = [
    () => log.trigger('TriggerAdded', on('job/mail')),
    () => log.queue('a'),
    () => log.trigger('TriggerMissed', { by: 'event', reason: 'refused', occurrence: 0, source: 'e2' }),
    () => log.trigger('TriggerAdded', timed(1), 'u'),
    () => log.trigger('TriggerFired', fired(), 'u'),
    () => log.queue('j', { type: 'letter', trigger: { id: 'u', occurrence: 0 } }),
    () => log.run('j', 'BadTrigger'),
    () => log.queue('c', { type: 'letter', trigger: { id: 't', occurrence: 0 } }),
    () => log.lease('c'),
    () => log.trigger('TriggerPaused'),
    () => log.write('job-c', 'Heartbeat', { token: 'c', expiresAt: 2e9, progress: 0.5 }),
    () => log.queue('other', { type: 'letter' }),
    () => log.write('queue-q', 'QueuePaused'),
    () => log.trigger('TriggerFired', fired({ jobId: 'k' }), 'u'),
    () => log.trigger('TriggerRemoved', { by: 'done' }, 'u'),
  ]
  const changed = steps.map((step) => {
    step()
    const before = [text, writes]
    text = JSON.stringify(log.registry)
    writes = log.registry.writes
    expect(writes !== before[1]).toBe(text !== before[0])
    return text !== before[0]
  })
  expect(changed.map((has, step) => (has ? -1 : step)).filter((step) => step >= 0)).toEqual([10, 11, 12])
})

describe.each(LIVES)('what its jobs have come to, %s', (_, live) => {
  const of = (occurrence: number, more: object = {}): object => ({ trigger: { id: 't', occurrence }, ...more })

  test('is told of the newest, the last success, the last failure and the last that a person asked for', () => {
    const log = new Log()
      .trigger('TriggerAdded', timed(1))
      .queue('a', of(1))
      .queue('b', of(2, { manual: true }))
    live(log.run('a').run('b', 'Error').queue('c', of(3)).queue('other').lease('c'))
    expect(log.registry.record('t')).toEqual({
      newest: { jobId: 'c', at: 9_000, state: 'running' },
      success: { jobId: 'a', at: 5_000 },
      failure: { jobId: 'b', at: 8_000, error: 'Error' },
      execution: { jobId: 'c', at: 9_000 },
      manual: { jobId: 'b', at: 3_000 },
    })
    live(log.write('job-c', 'Released', { token: 'c' }))
    expect(log.registry.record('t').newest?.state).toBe('waiting')
    live(log.write('job-c', 'Cancelled', { by: 'operator' }))
    expect(log.registry.record('t').newest?.state).toBe('cancelled')
  })

  test('is nothing before the first, and after a removal', () => {
    const log = live(new Log().trigger('TriggerAdded', timed(1)))
    expect([log.registry.record('t'), log.registry.record('nobody')]).toEqual([{}, {}])
    live(log.queue('a', of(1)).trigger('TriggerRemoved', { by: 'operator' }).run('a'))
    expect(log.registry.record('t')).toEqual({})
  })

  test('may be that the trigger makes no sense: it is bad until it is removed, or changed since', () => {
    const log = live(new Log().trigger('TriggerAdded', timed(1)).queue('a', of(1)).queue('b', of(2)))
    live(log.run('a', 'BadTrigger'))
    expect([...log.registry.bad]).toEqual([['t', 'a']])
    live(log.trigger('TriggerUpdated', timed(2)))
    expect([...log.registry.bad]).toEqual([])
    live(log.run('b', 'BadTrigger'))
    expect([...log.registry.bad]).toEqual([])
    live(log.queue('c', of(3)).run('c', 'BadTrigger'))
    expect([...log.registry.bad]).toEqual([['t', 'c']])
    live(log.trigger('TriggerRemoved', { by: 'bad-trigger', jobId: 'c' }))
    expect([...log.registry.bad]).toEqual([])
  })
})

describe('a checkpoint', () => {
  const logs = scenarios('v2').filter((name) => name.includes('trigger'))

  test.each(logs)('anywhere in %s leaves the same as the whole log', (name) => {
    const events = readEvents(name)
    const whole = events.reduce((log, event) => log.fold(event), new Log())
    for (const cut of events.keys()) {
      const log = events.slice(0, cut).reduce((half, event) => half.fold(event), new Log())
      events.slice(cut).reduce((rest, event) => rest.fold(event), log.restart())
      expect(readingOf(log.registry), `cut at ${cut}`).toEqual(readingOf(whole.registry))
    }
  })
})

/** All that is said of triggers, in no order. */
function readingOf(registry: TriggerRegistry): object {
  const saved = JSON.parse(JSON.stringify(registry)) as Record<string, unknown[]>
  const sorted = Object.entries(saved).map(([key, all]) => [key, all.map((each) => JSON.stringify(each)).sort()])
  return { ...Object.fromEntries(sorted), next: registry.nextDeadline() }
}
