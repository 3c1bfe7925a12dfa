/** The house rules that a machine can hold: each test first proves that its rule can fail, on sources made for it. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { checkCycles } from './support/architecture/cycles.js'
import { checkImportDirections } from './support/architecture/imports.js'
import { checkPurity } from './support/architecture/purity.js'
import { checkShape } from './support/architecture/shape.js'
import { checkSkips } from './support/architecture/skips.js'
import { describeFinding, type Finding, readSources, type Sources } from './support/architecture/source.js'
import { checkTopLevel } from './support/architecture/top-level.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const library = readSources(root, ['domain', 'projections', 'runtime', 'adapters'], ['index.ts'])
const outside = readSources(root, ['test', 'bench', 'examples'])

type Check = (sources: Sources) => Finding[]

function expectClean(findings: readonly Finding[]): void {
  expect(findings.map(describeFinding)).toEqual([])
}

/** Where the check finds fault with one file, as `line: detail`. */
function faults(check: Check, file: string, ...lines: string[]): string[] {
  return check(new Map([[file, lines.join('\n')]])).map(({ line, detail }) => `${line}: ${detail}`)
}

describe('imports run one way', () => {
  const judge = (file: string, ...lines: string[]): string[] => faults(checkImportDirections, file, ...lines)

  test('in the library', () => expectClean(checkImportDirections(library)))

  test.each([
    ['domain/a.ts', '../projections/pending-index.js'],
    ['domain/a.ts', 'node:crypto'],
    ['domain/a.ts', 'rxjs'],
    ['projections/a.ts', '../runtime/ledger.js'],
    ['projections/a.ts', 'xstate'],
    ['runtime/work/a.ts', '../../adapters/memory/store.js'],
    ['runtime/work/a.ts', '../../index.js'],
    ['runtime/work/a.ts', 'node:fs'],
    ['runtime/work/a.ts', '@standard-schema/spec'],
    ['adapters/sqlite/a.ts', '../memory/store.js'],
    ['adapters/sqlite/a.ts', '../open-ledger.js'],
    ['adapters/memory/a.ts', 'better-sqlite3'],
    ['adapters/cli/a.ts', '../sqlite/store.js'],
    ['adapters/cli/a.ts', '../../test/support/count-reporter.js'],
    ['adapters/clock.ts', './memory/store.js'],
  ])('%s may not import %s', (file, specifier) => {
    expect(judge(file, '', `import { x } from '${specifier}'`)).toEqual([
      expect.stringMatching(/^2: .* may not import /),
    ])
  })

  test.each([
    ['domain/job/a.ts', '../event.js'],
    ['domain/job/machine.ts', 'xstate/graph'],
    ['projections/a.ts', '../domain/event.js'],
    ['projections/a.ts', 'tinyqueue'],
    ['runtime/work/a.ts', '../ports/event-store.js'],
    ['adapters/sqlite/a.ts', './schema.js'],
    ['adapters/sqlite/a.ts', 'node:fs'],
    ['adapters/open-ledger.ts', './sqlite/store.js'],
    ['adapters/cli/main.ts', '../open-ledger.js'],
    ['index.ts', './adapters/open-ledger.js'],
    ['examples/a.ts', '../adapters/memory/store.js'],
  ])('%s may import %s', (file, specifier) => {
    expect(judge(file, `import { x } from '${specifier}'`)).toEqual([])
  })

  test('in every way of writing an import', () => {
    const forms = [
      `import type { T } from 'pg'`,
      `export { x } from 'pg'`,
      `const lazy = () => import('pg')`,
      `const old = require('pg')`,
      `type T = import('pg').Pool`,
      `import legacy = require('pg')`,
      `const computed = (name: string) => import(name)`,
    ]
    expect(judge('runtime/a.ts', ...forms).map((fault) => fault.split(':')[0])).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
      '6',
      '7',
    ])
    expect(judge('runtime/a.ts', `import type { StandardSchemaV1 } from '@standard-schema/spec'`)).toEqual([])
  })
})

describe('domain and projections are pure', () => {
  test('in the library', () => expectClean(checkPurity(library)))

  test.each([
    'const now = Date.now()',
    'const now = new Date()',
    'const now = new Date(2026, 1, 1)',
    'const now = Date()',
    'const { now } = Date',
    'const x = Math.random()',
    'const { random } = Math',
    "const x = Math['random']()",
    'const t = performance.now()',
    'setTimeout(() => undefined, 1)',
    'queueMicrotask(() => undefined)',
    'const home = process.env',
    'const held = { process }',
    "console.log('x')",
    'async function f() {}',
    'const f = async () => 1',
    'class C { async m() {} }',
    'const p = Promise.resolve(1)',
    'function f(): Promise<void> | undefined { return undefined }',
    'const id = crypto.randomUUID()',
    "const r = fetch('https://example.com')",
    "const g = globalThis['Math']",
    'class C extends EventTarget {}',
    'let count = 0',
    'const h = (at: number) => new Date(at).getHours()',
    'const f = (x = performance) => x',
  ])('not so: %s', (line) => {
    expect(faults(checkPurity, 'domain/a.ts', '', line)).toEqual([expect.stringMatching(/^2: /)])
    expect(faults(checkPurity, 'projections/a.ts', '', line)).toHaveLength(1)
    expect(faults(checkPurity, 'runtime/a.ts', '', line)).toEqual([])
  })

  test.each([
    'const at = new Date(0).toISOString()',
    'const at = Date.UTC(2026, 1, 1)',
    'const isDate = (x: unknown): x is Date => x instanceof Date',
    'const half = Math.floor(0.5)',
    'class Refused extends Error { readonly process = 1 }',
    'function f(process: { console: number }): number { return process.console }',
    'const f = ({ crypto: performance }: { crypto: number }): number => performance',
    'interface Process { process: string; fetch(url: string): string }',
    'const x = { fetch: 1, setTimeout() { return 2 } }',
    "import { fetch } from './own.js'; const r = fetch('x')",
    'function f(): number { let n = 0; n += 1; return n }',
    'type Names = [process: string, console: number]',
    'outer: for (const x of [1]) { if (x) continue outer }',
    'function f<console>(x: console): x is console { return true }',
    'const table = new Map<string, number>([]) satisfies ReadonlyMap<string, number>',
  ])('so: %s', (line) => {
    expect(faults(checkPurity, 'domain/a.ts', line)).toEqual([])
  })
})

describe('no import cycles', () => {
  test('in the library', () => expectClean(checkCycles(library)))

  test('a circle is found once and named', () => {
    const circle = new Map([
      ['domain/a.ts', `import { b } from './b.js'`],
      ['domain/b.ts', `import type { C } from './c.js'`],
      ['domain/c.ts', `\nexport { a } from './a.js'`],
      ['domain/d.ts', `import { a } from './a.js'`],
    ])
    expect(checkCycles(circle).map(describeFinding)).toEqual([
      'domain/c.ts:2 [import-cycle] domain/a.ts -> domain/b.ts -> domain/c.ts -> domain/a.ts',
    ])
  })
})

describe('the shape of a file', () => {
  test('in the library', () => expectClean(checkShape(library)))

  test.each([
    'export const x: any = 1',
    'export type F = (...all: any[]) => void',
    "export * from './a.js'",
    "export * as a from './a.js'",
    'export default 1',
    'export default function f() {}',
    "export { a as default } from './a.js'",
  ])('not so: %s', (line) => {
    expect(faults(checkShape, 'runtime/a.ts', '', line)).toEqual([expect.stringMatching(/^2: /)])
  })

  test('400 lines and no more', () => {
    expect(faults(checkShape, 'runtime/a.ts', 'export {}\n'.repeat(400))).toEqual([])
    expect(faults(checkShape, 'runtime/a.ts', 'export {}\n'.repeat(401))).toEqual(['401: 401 lines, at most 400'])
  })
})

describe('every skipped test says why', () => {
  test('in the repository', () => expectClean(checkSkips(outside)))

  test.each([
    'test.skip(name, run)',
    'it.concurrent.skip(name, run)',
    'describe.skipIf(old)(name, run)',
    'context.skip()',
    'ctx.skip(old)',
    'test(name, { skip: true }, run)',
    'test(name, ({ skip }) => skip())',
  ])('not so: %s', (line) =>
    expect(faults(checkSkips, 'test/a.test.ts', '', line)).toEqual([expect.stringMatching(/^2: /)]),
  )

  test.each([
    '// skipped: needs a server\ntest.skip(name, run)',
    "context.skip('needs a server')",
    "ctx.skip(old, 'old')",
    'rx.skip(1)',
    'run(name, { skip: [] })',
  ])('so: %s', (line) => expect(faults(checkSkips, 'test/a.test.ts', line)).toEqual([]))
})

describe('the top level', () => {
  test('is the fixed one', (context) => {
    const paths = filesOfRepository()
    if (paths === undefined) return context.skip('not a git checkout')
    expectClean(checkTopLevel(paths))
  })

  test('does not grow by accident', () => {
    const findings = checkTopLevel(['domain/event.ts', 'package.json', 'src/a.ts', 'src/b.ts', 'notes.txt', 'docs'])
    expect(findings.map(({ file }) => file)).toEqual(['src/', 'notes.txt', 'docs'])
  })
})

/** What git tracks or would track; undefined where there is no git. */
function filesOfRepository(): string[] | undefined {
  try {
    const args = ['ls-files', '--cached', '--others', '--exclude-standard', '-z']
    const listed = execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return listed.split('\0').filter((path) => path !== '')
  } catch {
    return undefined
  }
}
