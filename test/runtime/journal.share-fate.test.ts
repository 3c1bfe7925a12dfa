import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { shareFate } from '../../runtime/write/share-fate.js'

interface Command {
  readonly name: number
  readonly streams: readonly string[]
}

const inboxes: fc.Arbitrary<Command[]> = fc
  .array(fc.uniqueArray(fc.constantFrom(...'abcdefghijkl'), { minLength: 1, maxLength: 4 }), { maxLength: 25 })
  .map((all) => all.map((streams, name) => ({ name, streams })))

/** Commands that reach each other over shared streams, found by asking everybody again and again. */
function connected(inbox: readonly Command[]): Set<string> {
  const label = new Map(inbox.map((command) => [command, command.name]))
  for (let moved = true; moved; ) {
    moved = false
    for (const one of inbox) {
      for (const other of inbox) {
        const least = Math.min(label.get(one) as number, label.get(other) as number)
        if (label.get(one) === label.get(other) || !one.streams.some((stream) => other.streams.includes(stream)))
          continue
        label.set(one, least).set(other, least)
        moved = true
      }
    }
  }
  const groups = new Map<number, number[]>()
  for (const [{ name }, least] of label) groups.set(least, [...(groups.get(least) ?? []), name])
  return new Set([...groups.values()].map((names) => names.join(' ')))
}

describe('commands that share a stream', { timeout: 0 }, () => {
  test('share one group, directly or through others, in the order they came; others do not', () => {
    fc.assert(
      fc.property(inboxes, (inbox) => {
        const groups = shareFate(inbox)
        expect(new Set(groups.map(({ commands }) => commands.map(({ name }) => name).join(' ')))).toEqual(
          connected(inbox),
        )
      }),
      { numRuns: 500 },
    )
  })

  test('have one group that names just their streams', () => {
    fc.assert(
      fc.property(inboxes, (inbox) => {
        for (const { commands, streams } of shareFate(inbox)) {
          expect([...streams].sort()).toEqual([...new Set(commands.flatMap((command) => command.streams))].sort())
        }
      }),
    )
  })

  test('are found in an inbox of 20,000 that the last one ties together', () => {
    const inbox = Array.from({ length: 20_000 }, (_, name) => ({ name, streams: [`s${name}`] }))
    const last = { name: 20_000, streams: inbox.flatMap(({ streams }) => streams) }
    const [group, ...others] = shareFate([...inbox, last])
    expect(others).toEqual([])
    expect(group?.commands.map(({ name }) => name)).toEqual([...inbox.keys(), 20_000])
  })

  test('come to nothing when nobody asks', () => {
    expect(shareFate([])).toEqual([])
  })
})
