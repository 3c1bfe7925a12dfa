/** Many triggers are late at once: what they have missed is counted without holding up anything else. */
import { expect, test } from 'vitest'
import type { TriggerFired, TriggerMissed } from '../../domain/trigger/events.js'
import { defineJob } from '../../runtime/work/run/definition.js'
import type { Backend } from './support.js'
import { memory, sqlite, World } from './support.js'

const DAY = 86_400_000
const COUNT = 300
const note = defineJob<unknown, unknown>({ type: 'note' })
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** With so many triggers that come each minute, and have not come for a day. */
async function late(world: World): Promise<void> {
  const ledger = await world.open()
  const cron = { kind: 'cron', when: '* * * * *', timezone: 'Europe/Berlin' } as const
  const add = (id: number): Promise<unknown> => ledger.triggers.add({ id: `t${id}`, ...cron, job: note, payload: null })
  await Promise.all(Array.from({ length: COUNT }, (_, id) => add(id)))
  await world.close(ledger)
  const { clock } = world
  clock.step(Math.ceil(clock.now() / 60_000) * 60_000 + DAY - 30_000)
}

test.each<Backend>([memory, sqlite])('$name: the event loop turns while they are counted', async (backend) => {
  await using world = await World.create(backend)
  await late(world)
  const ledger = await world.open()
  const fired: TriggerFired[] = []
  const missed: TriggerMissed[] = []
  ledger.events$.subscribe(({ type, data }) => {
    if (type === 'TriggerFired') fired.push(data as TriggerFired)
    if (type === 'TriggerMissed') missed.push(data as TriggerMissed)
  })
  let turns = 0
  for (; fired.length < COUNT; turns += 1) await turn()
  expect(turns).toBeGreaterThan(COUNT)
  expect(fired).toHaveLength(COUNT)
  expect(missed.map(({ count, more }) => [count, more])).toEqual(Array(COUNT).fill([1_439, undefined]))
  expect(await ledger.triggers.state('t0')).toMatchObject({ fired: 1, missed: 1_439, lastMissed: 'late' })
})

test('a ledger that is closed meanwhile leaves them to the next one', async () => {
  await using world = await World.create(memory)
  await late(world)
  const first = await world.open()
  let fired = 0
  first.events$.subscribe(({ type }) => {
    if (type === 'TriggerFired') fired += 1
  })
  await turn()
  await world.close(first)
  expect(fired).toBeLessThan(COUNT)
  const second = await world.open()
  while ((await second.triggers.state('t299')).fired === 0) await turn()
  expect(await second.triggers.state('t299')).toMatchObject({ fired: 1, missed: 1_439 })
})
