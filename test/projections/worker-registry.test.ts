import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import { JobBoard } from '../../projections/job-board.js'
import { LIVE_MS, WorkerRegistry } from '../../projections/worker-registry.js'

/** Folds events as the feed does, one a second. */
class Log {
  readonly board = new JobBoard()
  readonly registry = new WorkerRegistry()
  at = 0
  #count = 0
  readonly #revisions = new Map<string, number>()

  write(stream: string, type: string, data: object = {}): this {
    this.#count += 1
    this.at += 1_000
    const revision = (this.#revisions.get(stream) ?? -1) + 1
    this.#revisions.set(stream, revision)
    const position = String(this.#count).padStart(4, '0')
    const event: RecordedEvent = { stream, type, data, revision, position, at: this.at, id: `e${this.#count}` }
    const change = this.board.apply(event, this.at)
    if (change === undefined) this.registry.apply(event)
    else this.registry.follow(change)
    return this
  }

  register(...ids: readonly string[]): this {
    for (const id of ids) this.write(`worker-${id}`, 'WorkerRegistered', { types: ['t'], concurrency: 1 })
    return this
  }

  lease(job: string, workerId: string, token = 'token'): this {
    if (this.board.get(job) === undefined) {
      const backoff = { min: 1, max: 1, factor: 1, jitter: 0 }
      this.write(`job-${job}`, 'Queued', { type: 't', queue: 'q', maxAttempts: 3, backoff, timeoutMs: null })
    }
    return this.write(`job-${job}`, 'Leased', { token, workerId, run: 1, attempt: 1, expiresAt: 1e9 })
  }
}

const failed = { token: 'token', run: 1, attempt: 1, retryable: true }

describe('the last sign of life', () => {
  test.each([
    ['Heartbeat', { token: 'token', expiresAt: 2e9 }],
    ['Finished', { outcome: 'succeeded' }],
    ['Failed', { ...failed, cause: 'error' }],
    ['Released', { token: 'token' }],
  ])('is what the worker does to a job it holds: %s', (type, data) => {
    const log = new Log().register('w', 'other').lease('a', 'w')
    expect(log.registry.lastSeenAt('w')).toBe(log.at)
    log.write('job-a', type, data)
    expect(log.registry.lastSeenAt('w')).toBe(log.at)
    expect(log.registry.lastSeenAt('other')).toBe(2_000)
  })

  test.each([
    ['Cancelled', { by: 'operator' }],
    ['Failed', { ...failed, cause: 'lease-lost' }],
  ])('is not what others do to it: %s', (type, data) => {
    const log = new Log().register('w').lease('a', 'w')
    const { at } = log
    log.write('job-a', type, data)
    expect(log.registry.lastSeenAt('w')).toBe(at)
  })

  test('is not what happens to a job that it holds no more', () => {
    const log = new Log()
      .register('w')
      .lease('a', 'w')
      .write('job-a', 'Failed', { ...failed, cause: 'error' })
    const { at } = log
    log.write('job-a', 'Retried', { runAt: 0, by: 'policy' }).write('job-a', 'Cancelled', { by: 'operator' })
    expect(log.registry.lastSeenAt('w')).toBe(at)
  })

  test('is its own last word, but not what others write into its stream', () => {
    const log = new Log().register('w').write('worker-w', 'WorkerBeat')
    expect(log.registry.lastSeenAt('w')).toBe(2_000)
    log.write('worker-w', 'WorkerPaused', { reason: 'disk' }).write('worker-w', 'WorkerResumed')
    expect(log.registry.lastSeenAt('w')).toBe(2_000)
  })

  test('does not go back: clocks differ', () => {
    const log = new Log().register('w').lease('a', 'w')
    const { at } = log
    log.at -= 60_000
    log.write('worker-w', 'WorkerBeat').write('job-a', 'Heartbeat', { token: 'token', expiresAt: 2e9 })
    expect(log.registry.lastSeenAt('w')).toBe(at)
  })

  test('of one that is gone, or was never registered, is not kept', () => {
    const log = new Log().register('w').write('worker-w', 'WorkerStopped').lease('a', 'w').lease('b', 'stranger', 'b')
    expect([log.registry.lastSeenAt('w'), log.registry.lastSeenAt('stranger')]).toEqual([0, 0])
    expect(log.registry.live(log.at)).toEqual([])
  })
})

describe('live', () => {
  test('are those with a sign of life within half a minute, paused and draining ones too', () => {
    const log = new Log().register('idle', 'busy', 'paused', 'draining', 'stopped', 'lost')
    log.lease('a', 'busy').write('worker-paused', 'WorkerPaused').write('worker-draining', 'WorkerDraining')
    log.write('worker-stopped', 'WorkerStopped').write('worker-lost', 'WorkerLost', { reason: 'silent' })
    const idsAt = (now: number): string[] => log.registry.live(now).map(({ id }) => id)
    expect(idsAt(log.at)).toEqual(['idle', 'busy', 'paused', 'draining'])
    expect(idsAt(1_000 + LIVE_MS)).toEqual(['idle', 'busy', 'paused', 'draining'])
    expect(idsAt(1_000 + LIVE_MS + 1)).toEqual(['busy', 'paused', 'draining'])
    expect(idsAt(log.at + LIVE_MS)).toEqual([])
  })
})

test('a checkpoint keeps all of it', () => {
  const log = new Log().register('w', 'x').lease('a', 'w').write('worker-x', 'WorkerPaused', { reason: 'disk' })
  log.write('worker-x', 'WorkerBeat', { position: '0007' })
  const restored = new WorkerRegistry()
  restored.restore(JSON.parse(JSON.stringify(log.registry)))
  for (const id of ['w', 'x']) expect(restored.lastSeenAt(id)).toBe(log.registry.lastSeenAt(id))
  expect(restored.get('x')).toMatchObject({
    status: 'paused',
    pause: { reason: 'disk', position: '0005' },
    seenTo: '0007',
  })
  expect(JSON.stringify(restored)).toBe(JSON.stringify(log.registry))
})
