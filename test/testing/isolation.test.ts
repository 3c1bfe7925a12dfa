/** Handlers in child processes, on virtual time. Real processes. */
import { expect, test } from 'vitest'
import { testLedger } from '../../adapters/testing/index.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Task } from '../engine/isolated.js'
import { Workshop } from '../engine/isolated.js'

const define = (module: string) =>
  defineJob<Task, unknown>({ type: 'task', isolate: 'process', module, timeout: '1m', maxAttempts: 1 })

test('a child process is waited for like the rest of the world', async () => {
  await using workshop = await Workshop.create()
  const task = define(workshop.deeds)
  await using ledger = await testLedger({ jobs: [task], patience: '1h' })
  const echo = await ledger.enqueue(task, { do: 'echo', value: 5 })
  expect(await ledger.drain()).toEqual([])
  expect(await echo.result()).toBe(5)
})

test('one that hangs is ended by its timeout in virtual time', async () => {
  await using workshop = await Workshop.create()
  const task = define(workshop.deeds)
  await using ledger = await testLedger({ jobs: [task], patience: 100 })
  const job = await ledger.enqueue(task, { do: 'hang' })
  expect(await ledger.waitFor(job, 'failed')).toMatchObject({ error: 'Timeout' })
  expect(ledger.clock.now() - Date.UTC(2026, 0, 1)).toBe(60_000)
})
