/**
 * The documents do not lie: every ts and js block of README.md and docs/ is type-checked and, unless its fence says
 * `no-run`, run. A sh block is run only if its fence says `run`. A block whose fence says `postgres` finds a database at
 * DATABASE_URL.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Snippet, snippetsOf } from '../support/markdown.js'
import { freshSchema, missingPostgres } from '../support/postgres.js'
import { Reader } from './reader.js'
import { typeFaults } from './type-check.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const LONGER_THAN_THE_GUARD = 90_000

function documents(): string[] {
  const folder = join(root, 'docs')
  const inDocs = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
  const paths = ['README.md', ...inDocs.map((path) => join('docs', path)).sort()]
  return paths.filter((path) => path.endsWith('.md') && existsSync(join(root, path)))
}

function isProgram({ language }: Snippet): boolean {
  return language === 'ts' || language === 'js'
}

function isRun(snippet: Snippet): boolean {
  return isProgram(snippet)
    ? !snippet.flags.includes('no-run')
    : snippet.language === 'sh' && snippet.flags.includes('run')
}

const needsServer = ({ flags }: Snippet): boolean => flags.includes('postgres')

const snippets = documents().flatMap((path) => snippetsOf(path, readFileSync(join(root, path), 'utf8')))

let reader: Reader
beforeAll(() => {
  reader = new Reader(root)
})
afterAll(() => reader.remove())

describe('the documents', () => {
  test('have a README', () => {
    expect(existsSync(join(root, 'README.md')) || !existsSync(join(root, 'index.ts'))).toBe(true)
  })

  test('have programs without type errors', { timeout: LONGER_THAN_THE_GUARD }, () => {
    expect(typeFaults(root, snippets, reader)).toEqual([])
  })

  test('can use the built library', () => {
    expect(existsSync(join(root, 'dist')), 'run `npm run build` first; `npm test` does').toBe(true)
  })

  const running = snippets.filter(isRun).map((snippet) => ({ place: `${snippet.file}:${snippet.line}`, snippet }))
  const [onServer, alone] = [true, false].map((is) => running.filter(({ snippet }) => needsServer(snippet) === is))
  test.each(alone ?? [])('$place runs', { timeout: LONGER_THAN_THE_GUARD }, async ({ snippet }) => {
    expect(await reader.run(snippet)).toBeUndefined()
  })
  const missing = missingPostgres()
  // skipped: where there is no server, with the reason in the title
  test.skipIf(missing !== undefined).each(onServer ?? [])(
    `$place runs${missing === undefined ? '' : ` (${missing})`}`,
    { timeout: LONGER_THAN_THE_GUARD },
    async ({ snippet }) => {
      const schema = await freshSchema()
      const failure = await reader.run(snippet, { DATABASE_URL: schema.url })
      await schema.drop()
      expect(failure).toBeUndefined()
    },
  )
})

describe('this check', () => {
  const at = (language: string, code: string, line = 7): Snippet => ({
    file: 'docs/x.md',
    line,
    language,
    flags: [],
    code,
  })

  test('finds the blocks of a document with their lines and flags', () => {
    const text = [
      '# T',
      '```ts no-run',
      'a',
      '',
      '```',
      '- x',
      '  ```sh run',
      '  ls',
      '    -l',
      '  ```',
      '````md',
      '```ts',
      '```',
      '````',
    ]
    expect(snippetsOf('docs/x.md', text.join('\n'))).toEqual([
      { file: 'docs/x.md', line: 3, language: 'ts', flags: ['no-run'], code: 'a\n\n' },
      { file: 'docs/x.md', line: 8, language: 'sh', flags: ['run'], code: 'ls\n  -l\n' },
      { file: 'docs/x.md', line: 12, language: 'md', flags: [], code: '```ts\n```\n' },
    ])
  })

  test('names the line of a type error', { timeout: LONGER_THAN_THE_GUARD }, () => {
    const faults = typeFaults(
      root,
      [at('ts', "\nconst n: number = 'x'\n"), at('js', 'const n = 1\nn.nowhere()\n', 20)],
      reader,
    )
    expect(faults).toEqual([
      expect.stringMatching(/^docs\/x\.md:8 Type 'string'/),
      expect.stringMatching(/^docs\/x\.md:21 /),
    ])
  })

  test('names a block that fails, and lets one pass that does not', { timeout: LONGER_THAN_THE_GUARD }, async () => {
    expect(await reader.run(at('ts', "const x: string = 'bad luck'\nthrow new Error(x)\n"))).toMatch(
      /^docs\/x\.md:7 ended with 1:.*bad luck/s,
    )
    expect(await reader.run(at('ts', 'await using x = { async [Symbol.asyncDispose]() {} }\nvoid x\n'))).toBeUndefined()
    expect(await reader.run(at('sh', 'cat nowhere | wc -l\n'))).toMatch(/^docs\/x\.md:7 ended with 1/)
  })
})
