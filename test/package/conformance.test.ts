/** `jobledger/conformance` as somebody uses it who has written a store: with vitest and fast-check, and a file of a few lines. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Consumer } from './consumer.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const consumer = new Consumer(root)

beforeAll(async () => {
  await consumer.pack()
  await consumer.install()
  for (const name of ['vitest', 'fast-check']) consumer.link(name)
})
afterAll(() => consumer.remove())

/** One that hands everything on to ours in memory, but for what is said of it. */
function suiteOf(differs: string): string {
  return `
import { eventStoreSuite } from 'jobledger/conformance'
import { MemoryEventStore } from './node_modules/jobledger/dist/adapters/memory/event-store.js'

class Own extends MemoryEventStore { ${differs} }
eventStoreSuite('my store', async () => {
  const store = new Own()
  return { store, dispose: () => store.close() }
})
`
}

async function run(file: string, differs = ''): Promise<{ readonly code: number | null; readonly output: string }> {
  consumer.write(file, suiteOf(differs))
  return await consumer.execute(join(root, 'node_modules', '.bin', 'vitest'), ['run', file])
}

test('a store that does what the port says passes', async () => {
  const { code, output } = await run('right.test.mjs')
  expect(output).toMatch(/Tests .*\d{2,} passed/)
  expect(code).toBe(0)
})

test('one that does not is told where', async () => {
  const { code, output } = await run('wrong.test.mjs', "async head() { return '' }")
  expect(output).toMatch(/FAIL .*time and position/)
  expect(code).toBe(1)
})
