/** A process that is killed in one of its hooks: what is repeated, and what is lost. Real time. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLedger } from '../../adapters/open-ledger.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import { Arena } from './rivals.js'

/** So that a test that hangs ends; nothing is measured by it. */
const GUARD = { timeout: 300_000 }

/** Notes every call; its payload names the one in which its process dies, the first time. */
const MORTAL = `
  const { appendFileSync } = await import('node:fs')
  const note = (text) => appendFileSync(folder + '/notes', text + '\\n')
  function reach(place, { id, run }, deadly) {
    note(id + ': ' + place + ' ' + run)
    const mark = folder + '/died of ' + id
    if (place !== deadly || existsSync(mark)) return
    writeFileSync(mark, '')
    process.kill(process.pid, 'SIGKILL')
  }
  const mortal = defineJob({
    type: 'mortal',
    start(deadly, ctx) {
      reach('start', ctx, deadly)
      return deadly
    },
    commit: ({ outcome }, ctx) => reach('commit', ctx, ctx.value),
    handle(deadly, ctx) {
      reach('handle', ctx, deadly)
      return deadly
    },
  })
  const jobs = [mortal]
  const deeds = { start: () => ledger.start({ concurrency: 1 }), stop: () => ledger.stop() }
`

const mortal = defineJob<string, string>({ type: 'mortal' })

describe('a process that is killed in a hook', () => {
  it('has the run repeated with its hooks, unless its end was recorded: then commit is lost', GUARD, async () => {
    await using arena = await Arena.create(MORTAL)
    await using ledger = await openLedger({ url: arena.url, durability: 'normal' })
    const places = ['start', 'handle', 'commit', 'nothing']
    for (const place of places) await ledger.enqueue(mortal, place, { id: `in ${place}` })
    const all = Promise.all(places.map((place) => ledger.result(`in ${place}`))).then(() => true)
    for (let over = false; !over; ) {
      const rival = await arena.rival()
      await rival.ask('start').catch(() => {})
      over = await Promise.race([rival.gone.then(() => false), all])
      // Its last commit may still be under way.
      if (over) await rival.ask('stop').catch(() => {})
      await rival.kill()
    }
    const notes = readFileSync(join(arena.folder, 'notes'), 'utf8').split('\n')
    const of = (place: string): string[] =>
      notes.filter((line) => line.startsWith(`in ${place}:`)).map((line) => line.slice(line.indexOf(':') + 2))
    expect(of('start')).toEqual(['start 1', 'start 2', 'handle 2', 'commit 2'])
    expect(of('handle')).toEqual(['start 1', 'handle 1', 'start 2', 'handle 2', 'commit 2'])
    expect(of('commit')).toEqual(['start 1', 'handle 1', 'commit 1'])
    expect(of('nothing')).toEqual(['start 1', 'handle 1', 'commit 1'])
  })
})
