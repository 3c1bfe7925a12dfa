/** What only shows on a terminal, and cannot be seen from a pipe. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { JsonLogger } from '../../adapters/cli/logger.js'
import { age, Output, preview, printable, widthOf } from '../../adapters/cli/output.js'
import { bytes } from '../../adapters/shared/bytes.js'

const output = new Output({ json: false, quiet: false, color: false })

function onTerminal(columns: number): void {
  vi.spyOn(process, 'stdout', 'get').mockReturnValue(
    Object.create(process.stdout, { isTTY: { value: true }, columns: { value: columns } }) as typeof process.stdout,
  )
}
afterEach(() => vi.restoreAllMocks())

describe('a table', () => {
  const rows = [
    ['日本', 'a long text that goes on and on and on'],
    ['plain', 'short'],
  ]

  test('is as wide as it has to be in a pipe', () => {
    expect(output.table(['NAME', 'TEXT'], rows).split('\n')).toEqual([
      'NAME   TEXT',
      '日本   a long text that goes on and on and on',
      'plain  short',
    ])
  })

  test('is as wide as the terminal', () => {
    onTerminal(30)
    expect(output.table(['NAME', 'TEXT'], rows).split('\n')).toEqual([
      'NAME   TEXT',
      '日本   a long text that goes …',
      'plain  short',
    ])
    expect(output.facts({ name: 'x'.repeat(40), none: undefined })).toBe(`name  ${'x'.repeat(23)}…`)
  })
})

describe('progress', () => {
  const written: string[] = []
  function onStderr(isTTY: boolean): void {
    written.length = 0
    const write = (text: string): boolean => written.push(text) > 0
    vi.spyOn(process, 'stderr', 'get').mockReturnValue(
      Object.create(process.stderr, {
        isTTY: { value: isTTY },
        columns: { value: 20 },
        write: { value: write },
      }) as typeof process.stderr,
    )
  }

  test('is one line of a terminal', () => {
    onStderr(true)
    output.progress('500 removed')
    output.progress('1000 removed, 0 expunged')
    output.progress('')
    expect(written).toEqual(['\r500 removed\u001b[K', '\r1000 removed, 0 ex…\u001b[K', '\r\u001b[K'])
  })

  test('is nothing elsewhere, nor where it is not asked for', () => {
    onStderr(false)
    output.progress('500 removed')
    onStderr(true)
    new Output({ json: true, quiet: false, color: false }).progress('500 removed')
    new Output({ json: false, quiet: true, color: false }).progress('500 removed')
    expect(written).toEqual([])
  })
})

test('columns are counted, not characters', () => {
  expect(['abc', '日本', 'e\u0301', '😀', '\u001b[31mred\u001b[39m'].map(widthOf)).toEqual([3, 4, 1, 2, 3])
})

test('what would steer a terminal is shown', () => {
  expect(printable('a\u001b[2J\u009b\n\u202eb é 日')).toBe('a\\u001b[2J\\u009b\\u000a\\u202eb é 日')
})

test('values are shown on one line', () => {
  expect([undefined, null, { a: ['x\ny'] }, new Uint8Array(3)].map((value) => preview(value))).toEqual([
    '',
    'null',
    '{"a":["x\\ny"]}',
    '<3 bytes>',
  ])
  expect(preview('x'.repeat(500), 10)).toBe('"xxxxxxxx…')
})

test('ages and sizes are rough', () => {
  expect([0, 999, 1_000, 90_000, -3_600_000].map((ms) => age(1e12 - ms, 1e12))).toEqual([
    'now',
    'now',
    '1s ago',
    '1m 30s ago',
    'in 1h',
  ])
  expect([0, 1023, 1024, 1_572_864, 2 ** 50].map(bytes)).toEqual(['0 B', '1023 B', '1.0 KiB', '1.5 MiB', '1024.0 TiB'])
})

describe('the logger', () => {
  const lines: string[] = []
  const logger = new JsonLogger('info', {}, (line) => void lines.push(line))
  const last = (): unknown => JSON.parse(lines.at(-1) ?? '')

  test('writes one line of JSON, with what it is bound to', () => {
    logger.child({ jobId: 'a' }).warn({ err: new RangeError('no', { cause: 'luck' }), big: 1n }, 'odd')
    expect(lines.at(-1)).toMatch(/^\{.*\}\n$/)
    expect(last()).toMatchObject({
      level: 'warn',
      jobId: 'a',
      msg: 'odd',
      big: '1n',
      err: { name: 'RangeError', message: 'no', cause: 'luck', stack: expect.any(String) },
    })
  })

  test('keeps to its level', () => {
    const before = lines.length
    logger.debug({}, 'not told')
    new JsonLogger('silent', {}, (line) => void lines.push(line)).fatal({}, 'not told')
    expect(lines).toHaveLength(before)
  })

  test('survives what JSON cannot hold', () => {
    const round: { self?: unknown } = {}
    round.self = round
    logger.info({ round }, 'still told')
    expect(last()).toMatchObject({ msg: 'still told', unloggable: expect.stringContaining('circular') })
  })
})
