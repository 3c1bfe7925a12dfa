/** Which version of a program enqueued a job and which ran it, and payloads that are older than the handler. */
import { expect } from 'vitest'
import { z } from 'zod'
import type { JobDefaults } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { factsOf, rejection } from '../engine/support.js'
import { scenario } from './scenario.js'

const echo = defineJob({
  type: 'echo',
  backoff: { min: '1m', jitter: 'none' },
  handle: (failures: number, { attempt }) => {
    if (attempt <= failures) throw new Error('not yet')
    return failures
  },
})

scenario(
  [51],
  'the version that enqueued a job and those that ran it are recorded, each with its own event',
  async (world) => {
    const old = await world.open({ jobs: [echo], codeVersion: 'aaa111' })
    await old.start()
    await old.enqueue(echo, 1, { id: 'a' })
    await world.clock.settle()
    await world.close(old)
    const young = await world.open({ jobs: [echo], codeVersion: 'bbb222' })
    await young.start()
    await world.pass(young.result('a'))
    expect(await factsOf(young, 'a', 'Queued')).toMatchObject([{ codeVersion: 'aaa111' }])
    expect(await factsOf(young, 'a', 'Leased')).toMatchObject([{ codeVersion: 'aaa111' }, { codeVersion: 'bbb222' }])
    expect(await young.status('a')).toMatchObject({ state: 'succeeded', codeVersion: 'aaa111' })
  },
)

scenario([51], 'a program that does not tell its version leaves none behind', async (world) => {
  const ledger = await world.open({ jobs: [echo] })
  await ledger.start()
  await (await ledger.enqueue(echo, 0, { id: 'a' })).result()
  for (const { data } of await ledger.history('a')) expect(data).not.toHaveProperty('codeVersion')
  expect(await ledger.status('a')).not.toHaveProperty('codeVersion')
})

scenario([51], 'a worker elsewhere that leases by hand runs the version of the ledger it asks', async (world) => {
  const ledger = await world.open({ codeVersion: 'ccc333' })
  await ledger.enqueue(echo, 0, { id: 'a' })
  const lease = await ledger.leaseById('a', await ledger.workers.register())
  await ledger.finish(lease.token)
  expect(await factsOf(ledger, 'a', 'Leased')).toMatchObject([{ codeVersion: 'ccc333' }])
})

scenario([51], 'a version that is no text is refused', async (world) => {
  const error = await rejection(world.open({ codeVersion: 7 as unknown as string }))
  expect(error).toMatchObject({ code: 'INVALID_OPTION', option: 'openLedger.codeVersion' })
})

interface Name {
  readonly first: string
  readonly last: string
}

/** The type as it was in its first, second and third version. */
const greetV1 = defineJob<string, unknown>({ type: 'greet' })
const greetV2 = defineJob<{ name: string }, unknown>({ type: 'greet', version: 2 })

/** Payloads it was asked to bring up to date, with their versions. */
function greetV3(asked: [unknown, number][] = [], more: Partial<JobDefaults<Name>> = {}) {
  return defineJob({
    type: 'greet',
    version: 3,
    schema: z.object({ first: z.string(), last: z.string() }),
    upcast: (payload, version): Name => {
      asked.push([payload, version])
      const name = version === 1 ? (payload as string) : (payload as { name: string }).name
      const [first = '', last = ''] = name.split(' ')
      return { first, last }
    },
    ...more,
    handle: (name) => `Hello, ${name.first} of the ${name.last}s`,
  })
}

scenario([51], 'payloads of every older version come to the handler in the present shape', async (world) => {
  const before = await world.open()
  await before.enqueue(greetV1, 'Ann Lee', { id: 'v1' })
  await before.enqueue(greetV2, { name: 'Bob Ray' }, { id: 'v2' })
  await world.close(before)
  const asked: [unknown, number][] = []
  const job = greetV3(asked)
  const ledger = await world.open({ jobs: [job] })
  await ledger.enqueue(job, { first: 'Eve', last: 'May' }, { id: 'v3' })
  await ledger.start()
  const results = await Promise.all(['v1', 'v2', 'v3'].map((id) => ledger.result(id)))
  expect(results).toEqual(['Hello, Ann of the Lees', 'Hello, Bob of the Rays', 'Hello, Eve of the Mays'])
  expect(asked).toEqual([
    ['Ann Lee', 1],
    [{ name: 'Bob Ray' }, 2],
  ])
  const versions = await Promise.all(['v1', 'v2', 'v3'].map((id) => factsOf(ledger, id, 'Queued')))
  expect(versions.flat().map(({ payloadVersion }) => payloadVersion)).toEqual([undefined, 2, 3])
})

scenario([51], 'what is stored stays as it was given, whatever the handler was shown', async (world) => {
  const job = greetV3()
  const ledger = await world.open({ jobs: [job] })
  await ledger.enqueue(greetV1, 'Ann Lee', { id: 'v1' })
  await ledger.start()
  await ledger.result('v1')
  expect((await ledger.status('v1')).payload).toBe('Ann Lee')
  await ledger.retry('v1')
  expect(await ledger.result('v1')).toBe('Hello, Ann of the Lees')
})

scenario([51], 'a payload replaced by a newer program has the newer version from then on', async (world) => {
  const asked: [unknown, number][] = []
  const job = greetV3(asked)
  const ledger = await world.open({ jobs: [job] })
  const unique = { key: 'one', onDuplicate: 'replace' as const }
  await ledger.enqueue(greetV1, 'Ann Lee', { id: 'a', unique })
  const again = await ledger.enqueue(job, { first: 'Eve', last: 'May' }, { unique })
  expect(again).toMatchObject({ id: 'a', outcome: 'replaced' })
  await ledger.start()
  expect(await ledger.result('a')).toBe('Hello, Eve of the Mays')
  expect(asked).toEqual([])
  await ledger.retry('a')
  expect(await ledger.result('a')).toBe('Hello, Eve of the Mays')
})

scenario([51], 'a payload replaced by an older program has the older version from then on', async (world) => {
  const job = greetV3()
  const ledger = await world.open({ jobs: [job] })
  const unique = { key: 'one', onDuplicate: 'replace' as const }
  await ledger.enqueue(job, { first: 'Eve', last: 'May' }, { id: 'a', unique })
  await ledger.enqueue(greetV1, 'Ann Lee', { unique })
  await ledger.start()
  expect(await ledger.result('a')).toBe('Hello, Ann of the Lees')
})

scenario([51], 'the schema is asked about the present shape; what does not fit it fails for good', async (world) => {
  const job = greetV3([], { upcast: () => ({ first: 'Ann' }) })
  const ledger = await world.open({ jobs: [job] })
  await ledger.enqueue(greetV1, 'Ann Lee', { id: 'v1' })
  await ledger.start()
  expect(await rejection(ledger.result('v1'))).toMatchObject({ code: 'JOB_FAILED' })
  expect(await factsOf(ledger, 'v1', 'Failed')).toMatchObject([
    { cause: 'invalid-payload', retryable: false, body: { message: expect.stringContaining('payload.last') } },
  ])
})

scenario([51], 'a function that cannot bring a payload up to date is an error like any other', async (world) => {
  let broken = true
  const job = greetV3([], {
    backoff: { min: '10s', jitter: 'none' },
    upcast: () => {
      if (broken) throw new Error('the table of names is away')
      return { first: 'Ann', last: 'Lee' }
    },
  })
  const ledger = await world.open({ jobs: [job] })
  await ledger.enqueue(greetV1, 'Ann Lee', { id: 'v1' })
  await ledger.start()
  await world.clock.settle()
  expect(await ledger.status('v1')).toMatchObject({ state: 'scheduled', errorMessage: 'the table of names is away' })
  broken = false
  expect(await world.pass(ledger.result('v1'))).toBe('Hello, Ann of the Lees')
})

scenario([51], 'a version that is no whole number from 1 up is refused where the type is declared', async () => {
  for (const version of [0, -1, 1.5, '2', null]) {
    expect(() => defineJob({ type: 'greet', version: version as number })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', option: 'defineJob.version' }),
    )
  }
})
