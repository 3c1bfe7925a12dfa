import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineJob } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeEach(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    for (const id of ['a', 'b', 'c']) {
      await ledger.enqueue(note, { text: 'x'.repeat(200_000) }, { id })
      await ledger.cancel(id)
    }
  })
})
afterEach(() => desk.remove())

describe('archive', { timeout: PATIENCE }, () => {
  test('moves what is old, and history finds it', async () => {
    const before = await desk.run(['history', 'a', '--json'])
    const dry = await desk.json<object>('archive', '--before', '0', '--dry-run')
    expect(dry).toMatchObject({ jobs: 3, segments: 0, dryRun: true })
    const { code, stdout } = await desk.run(['archive', '--before', '0', '--as', 'ada', '--vacuum'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^jobs +3 jobs with 9 events$/m)
    expect(stdout).toMatch(/^log file +.* before, .* now$/m)
    const after = await desk.run(['history', 'a', '--json'])
    const types = (text: string): string[] => text.match(/"type": ?"\w+"/g) ?? []
    expect(types(after.stdout)).toEqual([...types(before.stdout), expect.stringContaining('Condemned')])
    const retried = await desk.run(['retry', 'a'])
    expect(retried.code).toBe(4)
    expect(retried.stderr).toContain('Job a is archived')
  })

  test('refuses what it cannot use', async () => {
    for (const flags of [[], ['--before', 'soon'], ['--before', '1d', '--ledger', 'missing.db']]) {
      const { code, stderr } = await desk.run(['archive', ...flags])
      expect(code).toBeGreaterThan(1)
      expect(stderr).toMatch(/^error: /)
    }
  })
})
