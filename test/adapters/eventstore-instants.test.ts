import { expect, it } from 'vitest'
import { Instants } from '../../adapters/eventstore/instants.js'
import type { Reader } from '../../adapters/eventstore/reader.js'

const PAGE = 150
const events = Array.from({ length: 3_500 }, (_, n) => ({
  position: String(n).padStart(6, '0'),
  // Clocks of several writers, and one that was far ahead for a moment.
  at: 1_000 + 2 * n + ((n * 7_919) % 40) + (n === 1_700 ? 500 : 0),
}))

function reader(): { readonly reader: Reader; readonly reads: () => number } {
  let reads = 0
  const all = async function* ({ after }: { after: string }): AsyncGenerator<typeof events> {
    for (let n = events.findIndex(({ position }) => position > after); n >= 0 && n < events.length; n += PAGE) {
      reads += 1
      await null
      yield events.slice(n, n + PAGE)
    }
  }
  return { reader: { all } as unknown as Reader, reads: () => reads }
}

function walked(instant: number): string {
  const next = events.findIndex(({ at }) => at > instant)
  return events.at(next < 0 ? -1 : next - 1)?.position ?? ''
}

it('are found by several at once, early and late ones by turns', async () => {
  const instants = new Instants(reader().reader)
  for (let round = 0; round < 40; round += 1) {
    const asked = [0, 1, 2].map((n) => 1_000 + ((round * 3_331 + n * 2_917) % 8_200))
    expect(await Promise.all(asked.map((at) => instants.positionAt(at)))).toEqual(asked.map(walked))
  }
})

it('that lie close together are read once', async () => {
  const log = reader()
  const instants = new Instants(log.reader)
  await instants.positionAt(6_000)
  const before = log.reads()
  for (let at = 5_800; at < 6_000; at += 5) await instants.positionAt(at)
  expect(log.reads() - before).toBeLessThan(15)
})
