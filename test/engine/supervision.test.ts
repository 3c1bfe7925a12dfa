import { config } from 'rxjs'
import { afterEach, describe, expect, it } from 'vitest'
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import { VirtualClock } from '../../adapters/testing/virtual-clock.js'
import { Supervisor } from '../../runtime/upkeep/supervisor.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { LogLine } from './support.js'
import { keptOpen, ledgerOn, listeningLogger, memory, never, World } from './support.js'

function supervise(run: (signal: AbortSignal) => Promise<void>) {
  const clock = new VirtualClock(0)
  const log: LogLine[] = []
  const starts: number[] = []
  const supervisor = new Supervisor(clock, listeningLogger(log))
  const duty = {
    name: 'sweeper',
    run: (signal: AbortSignal) => {
      starts.push(clock.now())
      return run(signal)
    },
  }
  return { clock, log, starts, supervisor, duty }
}

describe('a duty of the engine', () => {
  it('that fails is started again, each time after twice the wait, up to 30 s, and says so', async () => {
    const { clock, log, starts, supervisor, duty } = supervise(() => Promise.reject(new Error('broken')))
    supervisor.start(duty)
    await clock.advance('3m')
    const waits = starts.slice(1).map((at, index) => at - (starts[index] as number))
    expect(waits.slice(0, 10)).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000])
    expect(waits.at(-1)).toBe(30_000)
    expect(log.length).toBe(starts.length)
    expect(log[2]).toMatchObject({
      level: 'error',
      facts: { duty: 'sweeper', failures: 3, err: { message: 'broken' } },
    })
    expect(supervisor.states().get('sweeper')).toBe('waiting')
    supervisor.stop()
    await clock.advance('1h')
    expect(log.length).toBe(starts.length)
    expect(supervisor.states().get('sweeper')).not.toBe('running')
  })

  it('that returns, or throws something odd, has failed too', async () => {
    for (const end of [async () => {}, () => Promise.reject(undefined)]) {
      const { clock, log, starts, supervisor, duty } = supervise(end)
      supervisor.start(duty)
      await clock.advance(100)
      expect(starts).toEqual([0, 100])
      expect(log).toHaveLength(2)
      supervisor.stop()
    }
  })

  it('that ran well for long starts its waits afresh', async () => {
    const clockOf: { now?: () => number } = {}
    const { clock, starts, supervisor, duty } = supervise(
      () =>
        new Promise((_, reject) => {
          const lasts = (clockOf.now?.() ?? 0) > 5_000 ? 31_000 : 0
          clock.at(clock.now() + lasts, () => reject(new Error('broken')))
        }),
    )
    clockOf.now = () => clock.now()
    supervisor.start(duty)
    await clock.advance('2m')
    const late = starts.filter((at) => at > 7_000)
    const waits = late.slice(1).map((at, index) => at - (late[index] as number))
    expect(new Set(waits)).toEqual(new Set([31_100]))
    supervisor.stop()
  })

  it('is told to stop by its signal', async () => {
    let signal: AbortSignal | undefined
    const { clock, supervisor, duty } = supervise((given) => {
      signal = given
      return never()
    })
    supervisor.start(duty)
    await clock.settle()
    expect(signal?.aborted).toBe(false)
    supervisor.stop()
    expect(signal?.aborted).toBe(true)
  })
})

const echo = defineJob({ type: 'echo', handle: (value: unknown) => value })

describe('the engine', () => {
  it('goes on where it was when its subscription breaks', async () => {
    const clock = new VirtualClock()
    const log: LogLine[] = []
    const store = keptOpen(new MemoryEventStore())
    let breakIt: (error: Error) => void = () => {}
    const breaking = new Proxy(store, {
      get(target, key) {
        if (key !== 'subscribe') return Reflect.get(target, key) as unknown
        return async function* (options: Parameters<typeof store.subscribe>[0]) {
          const broken = new Promise<never>((_, reject) => {
            breakIt = reject
          })
          const source = target.subscribe(options)[Symbol.asyncIterator]()
          for (;;) {
            const { value, done } = await Promise.race([source.next(), broken])
            if (done) return
            yield value
          }
        }
      },
    })
    const ledger = await ledgerOn(breaking, new MemoryViews(), clock, { jobs: [echo], logger: listeningLogger(log) })
    await ledger.start()
    expect(await (await ledger.enqueue(echo, 1)).result()).toBe(1)
    breakIt(new Error('connection lost'))
    await clock.settle()
    expect(log).toMatchObject([{ level: 'error', facts: { duty: 'feed', err: { message: 'connection lost' } } }])
    const enqueuing = ledger.enqueue(echo, 2, { id: 'two' })
    await clock.advance(100)
    expect((await enqueuing).outcome).toBe('created')
    expect(await ledger.result('two')).toBe(2)
    await ledger.close()
  })

  describe('with an observer of its events that throws', () => {
    const { onUnhandledError } = config
    afterEach(() => {
      config.onUnhandledError = onUnhandledError
    })

    it('goes on, for all others too, and the error is reported as one that nobody caught', async () => {
      const reported: unknown[] = []
      config.onUnhandledError = (error) => void reported.push(error)
      await using world = await World.create(memory)
      const ledger = await world.open({ jobs: [echo] })
      const seen: string[] = []
      const error = new Error('observer')
      const observing = ledger.events$.subscribe(() => {
        throw error
      })
      ledger.events$.subscribe(({ type }) => void seen.push(type))
      await ledger.start()
      expect(await (await ledger.enqueue(echo, 1)).result()).toBe(1)
      expect(seen).toEqual(['WorkerRegistered', 'Queued', 'Leased', 'Finished'])
      // What the close still tells would be reported after this test, by a timer of RxJS.
      observing.unsubscribe()
      await world.clock.settle()
      await new Promise((resolve) => setTimeout(resolve))
      expect(reported).toEqual(seen.map(() => error))
    })
  })
})
