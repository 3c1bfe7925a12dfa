/** When the engine is taken to be at rest: not while anything that it waits for is under way, however long that takes. */
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Conductor } from '../../adapters/testing/conductor.js'
import { watched } from '../../adapters/testing/watched.js'
import { gate } from '../engine/support.js'

async function turns(count: number): Promise<void> {
  for (let passed = 0; passed < count; passed += 1) await turn()
}

function conductor(): Conductor {
  return new Conductor({
    ...{ now: 0, patienceMs: 0, maxRuns: 1 },
    jobs: () => 0,
    job: () => undefined,
    begin: async () => {},
  })
}

/** Whether it has come to rest by now. */
function resting(own: Conductor): () => boolean {
  let rests = false
  void own.quiet().then(() => {
    rests = true
  })
  return () => rests
}

test('not while a call is under way', async () => {
  const own = conductor()
  own.begins()
  const rests = resting(own)
  await turns(50)
  expect(rests()).toBe(false)
  own.ends()
  await turns(10)
  expect(rests()).toBe(true)
})

test('not while a turn is asked for, nor while things happen in every turn', async () => {
  const own = conductor()
  const rests = resting(own)
  for (let left = 30; left > 0; left -= 1) {
    own.clock.engine.soon(() => {})
    await turn()
  }
  expect(rests()).toBe(false)
  for (let left = 30; left > 0; left -= 1) {
    own.happens()
    await turn()
  }
  expect(rests()).toBe(false)
  await turns(10)
  expect(rests()).toBe(true)
})

test('time does not go on before', async () => {
  const own = conductor()
  let rung = 0
  own.clock.engine.at(10, () => own.begins())
  own.clock.engine.at(20, () => {
    rung = own.clock.now()
  })
  const advanced = own.advance(30)
  await turns(50)
  expect([own.clock.now(), rung]).toEqual([10, 0])
  own.ends()
  await advanced
  expect([own.clock.now(), rung]).toEqual([30, 20])
})

test('calls and pages are told of until they are answered; the wait of a subscriber is none', async () => {
  let under = 0
  const watcher = {
    begins() {
      under += 1
    },
    ends() {
      under -= 1
    },
  }
  const answered = gate<number>()
  const paged = gate()
  const port = {
    name: 'port',
    slow: () => answered.promise,
    failing: async () => Promise.reject(new Error('no')),
    async *readAll() {
      await paged.promise
      yield [1]
      yield [2]
    },
    async *subscribe() {
      await new Promise(() => {})
      yield 1
    },
  }
  const seen = watched(port, watcher)
  expect(seen.name).toBe('port')
  const slow = seen.slow()
  expect(under).toBe(1)
  answered.open(5)
  expect(await slow).toBe(5)
  await expect(seen.failing()).rejects.toThrow('no')
  expect(under).toBe(0)
  const pages: number[][] = []
  const reading = (async () => {
    for await (const page of seen.readAll()) pages.push(page)
  })()
  await turn()
  expect(under).toBe(1)
  paged.open()
  await reading
  expect([pages, under]).toEqual([[[1], [2]], 0])
  void seen.subscribe()[Symbol.asyncIterator]().next()
  await turn()
  expect(under).toBe(0)
})
