import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineJob, type RetentionReport } from '../../index.js'
import { CONFIG_JS, Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
/** Ended, oldest first: c1, c2, c3 (cancelled), f1 (failed). `w` waits for c1. */
beforeEach(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    for (const id of ['c1', 'c2', 'c3', 'f1']) await ledger.enqueue(note, { id }, { id })
    await ledger.enqueue(note, null, { id: 'w', dependsOn: ['c1'] })
    for (const id of ['c1', 'c2', 'c3']) {
      await ledger.cancel(id)
      // Ages count in whole milliseconds.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await ledger.failUnstarted('f1')
  })
})
afterEach(() => desk.remove())

const run = (...flags: string[]): Promise<RetentionReport> => desk.json<RetentionReport>('retention', 'run', ...flags)

async function left(): Promise<string[]> {
  const { jobs } = await desk.with((ledger) => ledger.list())
  return jobs.map((job) => job.id).reverse()
}

describe('retention run', { timeout: PATIENCE }, () => {
  test('removes what is due, but for what is needed', async () => {
    const { code, stdout, stderr } = await desk.run(['retention', 'run', '--older-than', '0', '--as', 'ada'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n').map((line) => line.split(/ +/))).toEqual([
      ['RULE', 'REMOVED', 'EXPUNGED', 'KEPT'],
      ['command-line', '3', '0', '1'],
      [''],
    ])
    expect(await left()).toEqual(['c1', 'w'])
  })

  test('counts only, when dry', async () => {
    const { code, stdout, stderr } = await desk.run(['retention', 'run', '--max-count', '1', '--dry-run'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'Nothing was done: these are due.\n' })
    expect(stdout).toMatch(/\ncommand-line +2 +0 +1\n$/)
    expect(await left()).toHaveLength(5)
    expect(await run('--max-count', '1', '--dry-run')).toMatchObject({ removed: 2, kept: 1, dryRun: true })
  })

  test('takes a whole rule from flags', async () => {
    const rule = ['--state', 'cancelled', '--type', 'note', '--queue', 'default', '--channel', '', '--max-bytes', '0']
    expect(await run(...rule, '--keep-newest', '1')).toEqual({
      removed: 1,
      expunged: 0,
      kept: 1,
      rules: { 'command-line': { removed: 1, expunged: 0, kept: 1 } },
      dryRun: false,
    })
    expect(await left()).toEqual(['c1', 'c3', 'f1', 'w'])
    expect(await run('--type', 'other', '--older-than', '0')).toMatchObject({ removed: 0, kept: 0, rules: {} })
  })

  test('expunges', async () => {
    const { stdout } = await desk.run([
      'retention',
      'run',
      '--action',
      'expunge',
      '--max-bytes',
      '0',
      '--state',
      'failed',
    ])
    expect(stdout).toMatch(/\ncommand-line +0 +1 +0\n$/)
    expect(await left()).toHaveLength(5)
    expect(await desk.eventsOf('f1')).toEqual(['Queued', 'Failed', 'Finished', 'Expunged'])
    const { stdout: history } = await desk.run(['history', 'f1'])
    expect(history).toMatch(/ Expunged +1 body erased by the rule command-line\n$/)
  })

  test('takes the rules of a config', async () => {
    const rules = `[{ name: 'failures', state: 'failed', olderThan: 0 }, { name: 'old', state: 'cancelled', olderThan: '1ms' }]`
    desk.write('jobs.mjs', CONFIG_JS.replace('export default {', `export default { retention: { rules: ${rules} },`))
    const { code, stdout } = await desk.run(['retention', 'run', '--config', 'jobs.mjs'])
    expect(code).toBe(0)
    expect(stdout.split('\n').map((line) => line.split(/ +/).join(' '))).toEqual([
      'RULE REMOVED EXPUNGED KEPT',
      'failures 1 0 0',
      'old 2 0 1',
      'all 3 0 1',
      '',
    ])
  })

  test.each([
    [['run'], /Say what is due: --older-than, --max-count or --max-bytes, or --config <file>\./],
    [['run', '--state', 'failed'], /Say what is due/],
    [['run', '--keep-newest', '1'], /Say what is due/],
    [['run', '--older-than', 'long'], /Expected `--older-than` to be a duration/],
    [['run', '--older-than', '0', '--state', 'lost'], /Expected `--state` to be one of succeeded, failed, cancelled/],
    [['run', '--older-than', '0', '--action', 'burn'], /Allowed choices are remove, expunge/],
    [['run', '--max-count', '-1'], /Expected `--max-count` to be an integer >= 0/],
    [['run', '--max-bytes', '1kb'], /Expected `--max-bytes` to be a size, such as/],
    [['run', '--older-than', '0', '--keep-newest', 'x'], /Expected `--keep-newest` to be an integer >= 0/],
    [['run', '--older-than', '0', '--reason', 'x'], /--reason needs --as <user>/],
    [['run', '--older-than', '0', '--config', 'x.mjs'], /by flags or by --config, not by both/],
    [['run', '--config', 'nowhere.mjs'], /There is no config file /],
    [['walk'], /unknown command 'walk'/],
  ])('%j is refused with 2, and nothing is done', async (args, message) => {
    const { code, stdout, stderr } = await desk.run(['retention', ...args])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/^error: .*\nSee: jobledger --help.*\n$/)
    expect(await left()).toHaveLength(5)
  })

  test('a config without rules is refused with 2', async () => {
    desk.write('jobs.mjs', CONFIG_JS)
    const { code, stderr } = await desk.run(['retention', 'run', '--config', 'jobs.mjs'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/^error: jobs\.mjs has no rules: /)
  })
})
