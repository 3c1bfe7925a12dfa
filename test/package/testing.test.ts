/** `jobledger/testing` as others use it: under the test runners they have, with nothing set up but what the docs say. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Consumer } from './consumer.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const consumer = new Consumer(root)

beforeAll(async () => {
  await consumer.pack()
  await consumer.install()
})
afterAll(() => consumer.remove())

/**
 * The same test for every runner. `check` states what has to be true; `wrong`: one that is not, so that it is seen to be
 * counted.
 */
function testFile(imports: string, check: (fact: string) => string, wrong = false): string {
  return `
${imports}
import { defineJob } from 'jobledger'
import { happened, leased, queued, testLedger } from 'jobledger/testing'

const mail = defineJob({ type: 'mail', handle: (to) => 'to ' + to })

test('mail goes out after an hour', async () => {
  const ledger = await testLedger({ jobs: [mail] })
  const job = await ledger.enqueue(mail, 'ann', { delay: '1h' })
  ${check("ledger.contains(mail, 'no mail')")}
  await ledger.advance('1h')
  ${check(`(await job.result()) === '${wrong ? 'to bob' : 'to ann'}'`)}
  await ledger.given(queued(mail, 'bob'), leased()).when((id) => ledger.cancel(id)).then(happened('Cancelled'))
  await ledger.close()
})
`
}

const NODE = `import assert from 'node:assert'\nimport { test } from 'node:test'`
const VITEST = `import { expect, test } from 'vitest'`
const asserted = (fact: string): string => `assert.ok(${fact})`
const expected = (fact: string): string => `expect(${fact}).toBe(true)`

const RUNNERS: Record<string, (wrong: boolean) => Promise<{ code: number | null; output: string }>> = {
  'node:test': (wrong) => {
    consumer.write('node/mail.test.js', testFile(NODE, asserted, wrong))
    consumer.write('node/package.json', '{ "type": "module" }')
    return consumer.execute('node', ['--test'], 'node')
  },
  vitest: (wrong) => {
    consumer.link('vitest')
    consumer.write('vitest/mail.test.mjs', testFile(VITEST, expected, wrong))
    return consumer.execute(join(root, 'node_modules', '.bin', 'vitest'), ['run'], 'vitest')
  },
  jest: async (wrong) => {
    if (!consumer.has('jest')) await consumer.add('jest@30')
    consumer.write('jest/mail.test.js', testFile('', expected, wrong))
    consumer.write('jest/package.json', '{ "type": "module" }')
    return await consumer.execute(consumer.binary('jest'), [], 'jest', { NODE_OPTIONS: '--experimental-vm-modules' })
  },
}

test.each(Object.keys(RUNNERS))('%s', async (name) => {
  const run = RUNNERS[name] as (typeof RUNNERS)[string]
  expect(await run(false)).toMatchObject({ code: 0, output: expect.stringMatching(/1 passed|# pass 1|pass 1/) })
  const failed = await run(true)
  expect(failed.output).toMatch(/1 failed|fail 1/)
  expect(failed.code).not.toBe(0)
})
