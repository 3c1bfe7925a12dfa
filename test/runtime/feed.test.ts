import { describe, expect, test } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import { IllegalEvent } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Logger } from '../../runtime/ports/logger.js'
import { silentLogger } from '../../runtime/ports/logger.js'
import { Feed } from '../../runtime/read/feed.js'
import { facts, NOW, plausible } from '../domain/support/jobs.js'
import { turns } from './support/hasty-clock.js'

interface Line {
  readonly facts: object
  readonly message: string
}

class Stage {
  readonly store: MemoryEventStore = new MemoryEventStore()
  readonly clock: VirtualClock = new VirtualClock(NOW)
  readonly errors: Line[] = []
  #count = 0
  #removals = 0

  feed(after = ''): Feed {
    const logger: Logger = { ...silentLogger, error: (facts, message) => void this.errors.push({ facts, message }) }
    const feed = new Feed({ store: this.store, clock: this.clock, logger })
    feed.resumeAfter(after)
    return feed
  }

  /** Appends one event, legal or not. Answers with its position. */
  async append(stream: string, revision: number | 'none', type: string, data: object): Promise<string> {
    this.#count += 1
    const event = { stream, id: `e${this.#count}`, type, at: this.clock.now(), data }
    const [outcome] = await this.store.append([{ expect: new Map([[stream, revision]]), events: [event] }])
    if (outcome?.kind !== 'ok') throw new Error(`not appended: ${outcome?.kind}`)
    return outcome.position
  }

  queue(id: string): Promise<string> {
    return this.append(`job-${id}`, 'none', 'Queued', facts())
  }

  removed(id: string, position: string): Promise<string> {
    const jobs = [{ id, outcome: 'cancelled', queue: 'default', queuedAt: NOW, position }]
    const revision = this.#removals === 0 ? 'none' : this.#removals - 1
    this.#removals += 1
    return this.append('audit', revision, 'JobsRemoved', { jobs })
  }

  cancel(id: string): Promise<string> {
    return this.append(`job-${id}`, 0, 'Cancelled', { by: 'operator' })
  }
}

/** Runs a feed for as long as `during` takes. */
async function running<T>(feed: Feed, during: () => Promise<T>): Promise<T> {
  const stop = new AbortController()
  const ended = feed.run(stop.signal)
  try {
    return await during()
  } finally {
    stop.abort()
    await ended
  }
}

const idsOn = (feed: Feed): string[] => [...feed.board.jobs].map(({ id }) => id)

describe('a feed', () => {
  test('folds what was there before and what comes', async () => {
    const stage = new Stage()
    await stage.queue('before')
    const feed = stage.feed()
    await running(feed, async () => {
      await feed.reached(await stage.queue('after'))
      expect(idsOn(feed)).toEqual(['before', 'after'])
    })
  })

  test('tells of each event once, in order, after the projections have it', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    const told: string[] = []
    feed.events$.subscribe(({ type, stream, position }) => {
      told.push(`${type} ${stream} ${feed.board.get(stream.slice(4))?.phase ?? 'gone'}`)
      expect(feed.last === undefined || feed.last.position < position).toBe(true)
    })
    await running(feed, async () => {
      await stage.queue('j')
      await feed.reached(await stage.cancel('j'))
    })
    expect(told).toEqual(['Queued job-j waiting', 'Cancelled job-j gone'])
  })

  test('tells what an event did to its job, and nothing of other streams', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    const changes: string[] = []
    feed.changes$.subscribe(({ before, after }) => changes.push(`${before?.phase ?? 'absent'} -> ${after.phase}`))
    await running(feed, async () => {
      await stage.queue('j')
      await stage.append('note-1', 'none', 'Noted', {})
      await feed.reached(await stage.cancel('j'))
    })
    expect(changes).toEqual(['absent -> waiting', 'waiting -> ended'])
  })

  test('goes on after a checkpoint, and sees nothing twice', async () => {
    const stage = new Stage()
    const position = await stage.queue('kept')
    await stage.queue('new')
    const feed = stage.feed(position)
    await running(feed, async () => {
      await feed.reached(await stage.queue('newer'))
      expect(idsOn(feed)).toEqual(['new', 'newer'])
    })
    expect(feed.skipped).toBe(0)
  })

  test('goes on where it was when it is run again', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    const seen: RecordedEvent[] = []
    feed.events$.subscribe((event) => seen.push(event))
    await running(feed, async () => feed.reached(await stage.queue('a')))
    await stage.queue('b')
    await running(feed, async () => feed.reached(await stage.queue('c')))
    expect(seen.map(({ stream }) => stream)).toEqual(['job-a', 'job-b', 'job-c'])
    expect(feed.position).toBe(seen.at(-1)?.position)
  })

  test('leaves out an event that does not fit its stream, counts and reports it, and goes on', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    const seen: string[] = []
    feed.events$.subscribe(({ type }) => seen.push(type))
    await running(feed, async () => {
      await stage.queue('j')
      const bad = await stage.append('job-j', 0, 'Finished', { outcome: 'succeeded' })
      await stage.append('job-x', 'none', 'Unheard', {})
      await feed.reached(await stage.queue('other'))
      expect(idsOn(feed)).toEqual(['j', 'other'])
      expect(feed.board.get('j')).toMatchObject({ phase: 'waiting', revision: 0 })
      expect(stage.errors).toMatchObject([
        {
          message: 'event skipped: it does not fit its stream',
          facts: { stream: 'job-j', revision: 1, position: bad, type: 'Finished' },
        },
        { facts: { stream: 'job-x', revision: 0, type: 'Unheard' } },
      ])
      expect(stage.errors[0]?.facts).toMatchObject({ err: expect.any(IllegalEvent) })
    })
    expect(feed.skipped).toBe(2)
    expect(seen).toEqual(['Queued', 'Queued'])
  })

  test('leaves out an illegal event of a worker too', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    await running(feed, async () => feed.reached(await stage.append('worker-w', 'none', 'WorkerBeat', {})))
    expect(feed.skipped).toBe(1)
    expect(feed.workers.workers.size).toBe(0)
  })

  test('takes no notice of bodies that are erased after the end of a job', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    await running(feed, async () => {
      await stage.queue('j')
      await stage.cancel('j')
      await feed.reached(await stage.append('job-j', 1, 'Expunged', { rule: 'r', hashes: {} }))
    })
    expect(feed.skipped).toBe(0)
  })

  test('lets go of jobs that were removed, and knows how they ended', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    const changes: string[] = []
    feed.changes$.subscribe(({ event }) => changes.push(event.type))
    await running(feed, async () => {
      const position = await stage.queue('j')
      await feed.reached(await stage.cancel('j'))
      await stage.append('job-j', 1, 'Condemned', {})
      await feed.reached(await stage.removed('j', position))
    })
    expect(feed.board.removed('j')).toMatchObject({ outcome: 'cancelled' })
    expect(feed.board.stats.toJSON()).toMatchObject({ default: { waiting: 0, cancelled: 1 } })
    expect(changes).toEqual(['Queued', 'Cancelled'])
    expect(feed.skipped).toBe(0)
  })

  test('counts the jobs it has never seen, and no job twice, when it goes on after a checkpoint', async () => {
    const stage = new Stage()
    const before = await stage.queue('before')
    const checkpoint = await stage.cancel('before')
    const after = await stage.queue('after')
    await stage.cancel('after')
    for (const id of ['before', 'after']) await stage.store.remove([`job-${id}`])
    await stage.removed('before', before)
    const last = await stage.removed('after', after)
    for (const [since, cancelled] of [
      [checkpoint, 1],
      ['', 2],
    ] as const) {
      const feed = stage.feed(since)
      await running(feed, async () => feed.reached(last))
      expect(feed.board.stats.toJSON(), `since ${since}`).toMatchObject({ default: { cancelled } })
    }
  })

  test('knows the state of a stream as its projections do, and nothing of the others', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    await running(feed, async () => feed.reached(await stage.queue('j')))
    expect(feed.recall('job-j')).toMatchObject({ revision: 0, phase: 'waiting' })
    expect(feed.recall('job-x')).toBeUndefined()
    expect(feed.recall('note-1')).toBeUndefined()
    const queued = { ...plausible('Queued', undefined), id: 'e', revision: 0, position: '' }
    expect(feed.evolve(undefined, queued)).toMatchObject({ revision: 0, phase: 'waiting' })
    expect(feed.evolve({ revision: 4 }, { stream: 'note-1', type: 'Noted' } as RecordedEvent)).toEqual({ revision: 5 })
  })
})

describe('who waits for a position', () => {
  test('is not made to wait when it is reached already', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    const position = await stage.queue('j')
    await running(feed, async () => feed.reached(position))
    expect(feed.reached(position)).toBeUndefined()
    expect(feed.reached('')).toBeUndefined()
  })

  test('is told in the order of positions, whoever asked first', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    const [first, second, third] = [await stage.queue('a'), await stage.queue('b'), await stage.queue('c')]
    const told: string[] = []
    const waits = [third, first, second, first].map((position) =>
      feed.reached(position)?.then(() => told.push(position)),
    )
    await running(feed, () => Promise.all(waits))
    expect(told).toEqual([first, first, second, third])
  })

  test('is told only when the projections have it', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    const position = await stage.queue('j')
    const seen = feed.reached(position)?.then(() => idsOn(feed))
    await running(feed, async () => expect(await seen).toEqual(['j']))
  })

  test('is let go when the feed closes', async () => {
    const stage = new Stage()
    const feed = stage.feed()
    let told = false
    void feed.reached('9999999999999999')?.then(() => {
      told = true
    })
    feed.close()
    await turns(1)
    expect(told).toBe(true)
  })

  test('signals a page only once history has been caught up with', async () => {
    const stage = new Stage()
    for (let number = 0; number < 2_500; number += 1) await stage.queue(`j${number}`)
    const feed = stage.feed()
    const sizes: number[] = []
    feed.pages$.subscribe(() => sizes.push(feed.board.size))
    await running(feed, async () => {
      await feed.reached(await stage.queue('last'))
      await turns(5)
    })
    expect(sizes[0]).toBeGreaterThanOrEqual(2_500)
  })
})
