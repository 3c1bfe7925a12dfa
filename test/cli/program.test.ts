import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Desk, PATIENCE } from './desk.js'

let desk: Desk
beforeAll(() => {
  desk = new Desk()
})
afterAll(() => desk.remove())

const VERBS = [
  ...['enqueue', 'result', 'work'],
  ...['status', 'history', 'attempts', 'list', 'stats', 'workers', 'leases', 'doctor'],
  ...['cancel', 'retry', 'promote', 'reschedule', 'expunge', 'remove', 'dead', 'queues', 'triggers', 'retention'],
]
const NESTED = [
  ...['dead list', 'dead retry', 'dead clean', 'retention run', 'queues pause', 'queues resume'],
  ...['workers pause', 'workers resume', 'workers remove'],
  ...['triggers add', 'triggers preview', 'triggers list', 'triggers show', 'triggers next', 'triggers fire'],
  ...['triggers pause', 'triggers resume', 'triggers remove'],
]

describe('the command line', { timeout: PATIENCE }, () => {
  test('explains itself', async () => {
    const { code, stdout, stderr } = await desk.run(['--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const verb of VERBS) expect(stdout).toMatch(new RegExp(`^ +${verb}[ |]`, 'm'))
    for (const exitCode of [0, 1, 2, 3, 4, 5, 6, 130, 143])
      expect(stdout).toMatch(new RegExp(`^ +${exitCode} {2}`, 'm'))
  })

  test.concurrent.each([...VERBS, ...NESTED])('%s explains itself with an example, on 80 columns', async (verb) => {
    const { code, stdout } = await desk.run([...verb.split(' '), '--help'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Examples:\n( {2}\$ .*jobledger .*\n)+/m)
    expect(stdout).toContain('--ledger <url|path>')
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  test('knows its version', async () => {
    expect(await desk.run(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })

  test.concurrent.each([
    [[], /^Usage: jobledger <verb> \[options\]/],
    [['frobnicate'], /^error: unknown command 'frobnicate'/],
    [['status'], /^error: missing required argument 'id'/],
    [['status', 'a', 'b'], /^error: too many arguments/],
    [['stats', '--colour'], /^error: unknown option '--colour'/],
    [['stats', '--as', ''], /^error: Expected `--as` to be a text of 1 to 200 characters/],
    [['--reason', 'x'.repeat(201), 'stats'], /^error: Expected `--reason` to be a text of 1 to 200 characters/],
    [['stats', '--log-level', 'loud'], /^error: option '--log-level <level>' argument 'loud' is invalid/],
    [['work'], /^error: required option '-c, --config <file>' not specified/],
  ])('%j is bad usage', async (args, message) => {
    const { code, stdout, stderr } = await desk.run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })

  test('shows a stack only to who debugs', async () => {
    const brief = await desk.run(['stats'])
    expect(brief.stderr.trimEnd().split('\n')).toHaveLength(1)
    for (const debugging of [
      await desk.run(['stats', '--log-level', 'debug']),
      await desk.run(['stats'], { env: { JOBLEDGER_DEBUG: '1' } }),
    ]) {
      expect(debugging.code).toBe(brief.code)
      expect(debugging.stderr).toMatch(/\n +at /)
    }
  })
})
