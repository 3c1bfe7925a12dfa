import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defineJob, type Explanation } from '../../index.js'
import { Desk, PATIENCE } from './desk.js'

const note = defineJob({ type: 'note', handle() {} })

let desk: Desk
beforeAll(async () => {
  desk = new Desk()
  await desk.with(async (ledger) => {
    const ann = ledger.as({ user: 'ann', reason: 'tic\u0007ket' })
    await ledger.enqueue(note, null, { id: 'a', held: true, unique: { key: 'k' } })
    await ledger.enqueue(note, null, { id: 'b', dependsOn: ['a'] })
    await ledger.enqueue(note, null, { id: 'c' })
    await ann.queues.pause('default')
    await ann.cancel('c')
    await ledger.enqueue(note, null, { id: 'd' })
    await ann.remove('d')
  })
})
afterAll(() => desk.remove())

describe('explain', { timeout: PATIENCE }, () => {
  test('a job that waits, in lines that steer no terminal', async () => {
    const { code, stdout, stderr } = await desk.run(['explain', 'b'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [first, second, third] = stdout.split('\n')
    expect(first).toBe('blocked: It waits for a (held).')
    expect(second).toMatch(/^ {2}also: Its queue "default" is paused since .* by ann \(tic\\u0007ket\)\.$/)
    expect(third).toMatch(/^ {2}also: No live worker serves type note/)
  })

  test('a job that has ended, as the document that the library gives', async () => {
    const explanation = await desk.with((ledger) => ledger.explain('c'))
    expect(await desk.json<Explanation>('explain', 'c')).toEqual(explanation)
    expect((await desk.run(['explain', 'c'])).stdout).toMatch(/\nTIME .*\n.* 0 +cancelled +It was cancelled by ann/)
  })

  test('a job that was removed, and a key', async () => {
    expect(await desk.json('explain', 'd')).toMatchObject({ state: 'removed' })
    expect((await desk.run(['history', 'd'])).stderr).toMatch(
      /^error: Job d was removed at .* by ann \(tic.*ket\); it had/,
    )
    expect((await desk.run(['explain', '--unique', 'k', '--type', 'note'])).stdout).toMatch(
      /^Job a \(held\) holds the key/,
    )
  })

  test('deeds, a page at a time', async () => {
    const { stdout, stderr } = await desk.run(['deeds', '--limit', '2', '--actor', 'ann'])
    expect(stdout).toMatch(/^TIME .*\n.* ann +remove job +d +tic\\u0007ket\n.* ann +cancel job +c /)
    expect(stderr).toMatch(/^There are more: --cursor '/)
    expect(await desk.run(['deeds', '--actor', 'eve'])).toEqual({ code: 0, stdout: '', stderr: 'No deeds.\n' })
  })

  test.each([
    [['explain'], /Give one of <id>, --unique <key> and --trigger <id>\./],
    [['explain', 'a', '--trigger', 't'], /Give one of/],
    [['explain', '--unique', 'k'], /--scope type needs --type\./],
    [['deeds', '--from', 'yesterday'], /Expected `--from` to be an instant/],
  ])('%j is refused with 2', async (args, message) => {
    const { code, stdout, stderr } = await desk.run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })
})
