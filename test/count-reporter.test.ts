/** The last line of a test run is what scripts believe, so it must be right above all when things go wrong. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runGuarded } from './support/guarded-process.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const GUARD_MS = 60_000
const GUARDED = { timeout: GUARD_MS + 30_000 }

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jobledger-count-'))
  mkdirSync(join(folder, 'test', 'support'), { recursive: true })
  for (const file of ['package.json', 'vitest.config.ts', 'test/support/count-reporter.ts', 'test/support/seed.ts']) {
    cpSync(join(root, file), join(folder, file))
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction')
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Runs these test files under our configuration: the exit code, and the last line of its stdout. */
async function run(
  files: Readonly<Record<string, string>>,
): Promise<[code: number | null, lastLine: string | undefined]> {
  for (const [name, body] of Object.entries(files)) {
    const imports = `import { beforeAll, describe, test } from 'vitest'\n`
    writeFileSync(join(folder, 'test', `${name}.test.ts`), imports + body)
  }
  // The vitest that runs this test must not leak its own settings into the one it starts.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST')))
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const { code, stdout } = await runGuarded('node', [vitest, 'run'], { cwd: folder, guardMs: GUARD_MS, env })
  return [code, stdout.trimEnd().split('\n').at(-1)]
}

const PASSES = `test('a', () => {})\n`
const FAILS = `test('b', () => { throw new Error('b') })\n`

test('a clean run', GUARDED, async () => {
  expect(await run({ a: PASSES })).toEqual([0, '1 passed, 0 failed'])
})

test('a skipped test and a failing one', GUARDED, async () => {
  expect(await run({ a: `${PASSES + FAILS}test.skip('c', () => {})` })).toEqual([1, '1 passed, 1 failed, 1 skipped'])
})

test('a file that does not load, and one that leaves an error behind', GUARDED, async () => {
  const late = `setTimeout(() => { throw new Error('late') }, 1)\ntest('wait', () => new Promise((go) => setTimeout(go, 100)))`
  expect(await run({ a: PASSES, unloadable: `import './nowhere.js'`, late })).toEqual([1, '2 passed, 2 failed'])
})

test('a failing beforeAll', GUARDED, async () => {
  const hook = `describe('s', () => { beforeAll(() => { throw new Error('no') })\n${PASSES}})`
  expect(await run({ hook })).toEqual([1, '0 passed, 1 failed, 1 skipped'])
})

test('nothing to run', GUARDED, async () => {
  expect(await run({})).toEqual([1, '0 passed, 1 failed'])
})
