/** What is published works for those who install it, whatever way they load and compile it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Consumer } from './consumer.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const consumer = new Consumer(root)

beforeAll(() => consumer.pack())
afterAll(() => consumer.remove())

/** The same program for every way of loading the library; `typed` adds what only TypeScript can read. */
function helloProgram({ url = 'memory:', typed = false } = {}): string {
  return `
const hello = defineJob({
  type: 'hello',
  async handle(payload${typed ? ': { name: string }' : ''}) { return { greeting: 'hello ' + payload.name } },
})
async function main() {
  const ledger = await openLedger({ url: '${url}', jobs: [hello] })
  await ledger.start()
  const job = await ledger.enqueue(hello, { name: 'x' })
  const result${typed ? ': { greeting: string }' : ''} = await job.result()
  console.log(result.greeting)
  await ledger.close()
}
main().catch((error) => { console.error(error); process.exitCode = 1 })
`
}

const IMPORT = `import { openLedger, defineJob } from 'jobledger'\n`
const REQUIRE = `const { openLedger, defineJob } = require('jobledger')\n`

describe('the tarball', () => {
  test('pleases publint', () => consumer.inspect('publint', ['run', consumer.tarball, '--strict']))

  test('pleases attw', () => consumer.inspect('attw', [consumer.tarball, '--profile', 'esm-only', '--no-emoji']))
})

describe('installed', () => {
  beforeAll(() => consumer.install())

  test('is imported', async () => {
    expect(await consumer.run('memory.mjs', IMPORT + helloProgram())).toBe('hello x\n')
  })

  test('is required', async () => {
    expect(await consumer.run('memory.cjs', REQUIRE + helloProgram())).toBe('hello x\n')
  })

  test('keeps its ledger in a file', async (context) => {
    context.skip(!consumer.has('better-sqlite3'), 'the optional driver is not installed here')
    expect(await consumer.run('file.mjs', IMPORT + helloProgram({ url: 'sqlite:./jobs.db' }))).toBe('hello x\n')
  })

  test('runs handlers in child processes', async () => {
    const module = join(consumer.folder, 'double.mjs')
    writeFileSync(
      module,
      `import { Fatal } from 'jobledger'\nexport default (n) => { if (n > 9) throw new Fatal('big'); return n * 2 }\n`,
    )
    const program = `
      const double = defineJob({ type: 'double', isolate: 'process', module: ${JSON.stringify(module)} })
      const ledger = await openLedger({ url: 'memory:', jobs: [double] })
      await ledger.start()
      console.log(await (await ledger.enqueue(double, 4)).result())
      await (await ledger.enqueue(double, 10)).result().catch(({ error }) => console.log(error))
      await ledger.close()
    `
    expect(await consumer.run('isolated.mjs', IMPORT + program)).toBe('8\nFatal\n')
  })

  test('brings its command', async () => {
    expect(await consumer.command(['--help'])).toMatchObject({ code: 0, output: expect.stringContaining('jobledger') })
  })

  const { ModuleKind, ModuleResolutionKind } = ts
  const nodenext = { module: ModuleKind.NodeNext, moduleResolution: ModuleResolutionKind.NodeNext }
  const bundler = { module: ModuleKind.ESNext, moduleResolution: ModuleResolutionKind.Bundler }

  test.each([
    ['nodenext', 'typed.mts', nodenext],
    ['nodenext from CommonJS', 'typed.cts', nodenext],
    ['bundler', 'typed.ts', bundler],
  ])('compiles with %s', (_, file, options) => {
    expect(consumer.compile(file, IMPORT + helloProgram({ typed: true }), options)).toEqual([])
  })

  test('is really type-checked', () => {
    const wrong = `${IMPORT + helloProgram({ typed: true })}\nexport const n: number = openLedger\n`
    expect(consumer.compile('wrong.mts', wrong, nodenext)).toEqual([expect.stringMatching(/wrong\.mts:\d+ Type /)])
  })
})
