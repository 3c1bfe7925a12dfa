/** Triggers that are changed. */
import { expect } from 'vitest'
import { scenario } from './scenario.js'
import { firings, kindsOf, noted, storyOf, tick, toldOf } from './trigger-acts.js'

const TENS = { id: 'tens', kind: 'cron', when: '*/10 * * * *', job: tick, payload: { n: 1 } } as const

scenario(
  [66, '001.23', '002.36'],
  'after a change the old instant never fires, and queued jobs stay',
  async (world) => {
    const ledger = await world.open()
    await ledger.triggers.add(TENS)
    await world.clock.advance('11m')
    const [queued] = await ledger.triggers.jobs('tens')
    const changed = await ledger.triggers.update('tens', { when: '5-59/10 * * * *' })
    expect(changed).toMatchObject({ id: 'tens', when: '5-59/10 * * * *', nextAt: Date.UTC(2026, 0, 1, 0, 15) })
    expect(await ledger.status(queued?.id as string)).toMatchObject({ state: 'ready', payload: { n: 1 } })
    await world.clock.advance('20m')
    expect(await firings(world, 'tens')).toEqual(['01-01 00:10:00', '01-01 00:15:00', '01-01 00:25:00'])
    await ledger.triggers.update('tens', { kind: 'in', when: '5m' })
    await world.clock.advance('10m')
    expect((await firings(world, 'tens')).at(-1)).toBe('01-01 00:36:00')
    expect(await ledger.triggers.list()).toEqual([])
  },
)

scenario([66, '002.36'], 'what is not named in a change stays as it is, also when it fires next', async (world) => {
  const ledger = await world.open()
  const options = { channel: 'acme' }
  await ledger.triggers.add({
    id: 'every',
    kind: 'every',
    when: '10m',
    job: tick,
    payload: 'old',
    options,
    misfire: 'skip',
  })
  await world.clock.advance('5m')
  await ledger.triggers.update('every', { payload: 'new' })
  expect(await ledger.triggers.get('every')).toMatchObject({
    ...{ when: '10m', payload: 'new', channel: 'acme', misfire: 'skip', nextAt: Date.UTC(2026, 0, 1, 0, 10) },
  })
  await world.clock.advance('5m')
  const [job] = await ledger.triggers.jobs('every')
  expect(await ledger.status(job?.id as string)).toMatchObject({ payload: 'new', channel: 'acme' })
  // A one-shot keeps its instant.
  await ledger.triggers.add({ id: 'in', kind: 'in', when: '10m', job: tick, payload: 1 })
  await world.clock.advance('4m')
  await ledger.triggers.update('in', { payload: 2, late: '1h' })
  expect(await ledger.triggers.get('in')).toMatchObject({ nextAt: Date.UTC(2026, 0, 1, 0, 20), payload: 2 })
})

scenario([66, '002.36'], 'two who change it at once both have their way', async (world) => {
  const ledgers = [await world.open(), await world.open()] as const
  await ledgers[0].triggers.add(TENS)
  await Promise.all([
    ledgers[0].triggers.update('tens', { payload: { n: 2 } }),
    ledgers[1].triggers.update('tens', { when: '5-59/10 * * * *' }),
    ledgers[0].triggers.update('tens', { options: { channel: 'acme' } }),
  ])
  expect(await ledgers[1].triggers.get('tens')).toMatchObject({
    payload: { n: 2 },
    when: '5-59/10 * * * *',
    channel: 'acme',
  })
})

scenario([66, '002.36'], 'undefined leaves what is there, null takes it away', async (world) => {
  const { triggers } = await world.open()
  const more = { timezone: 'Europe/Paris', misfire: 'skip', debounce: '5s', options: { channel: 'acme' } } as const
  await triggers.add({ ...TENS, ...more })
  const before = await triggers.get('tens')
  const { kind: _, ...nothing } = Object.fromEntries(Object.keys({ ...TENS, ...more }).map((key) => [key, undefined]))
  const { id: __, ...unsaid } = nothing
  await world.clock.advance('1s')
  await triggers.update('tens', unsaid)
  expect(await triggers.get('tens')).toEqual(before)
  await triggers.update('tens', { timezone: null, misfire: null, debounce: null, options: null })
  const { timezone: _1, debounce: _2, options: _3, ...plain } = before
  const updatedAt = world.clock.now()
  expect(await triggers.get('tens')).toEqual({ ...plain, channel: '', misfire: 'coalesce', updatedAt })
  await triggers.add({ id: 'in', kind: 'in', when: '1h', late: 'always', job: tick, payload: 1 })
  await triggers.update('in', { late: null })
  expect(await triggers.get('in')).toMatchObject({ lateMs: 86_400_000 })
})

scenario([66, '002.36'], 'another kind drops what belonged to the old one, and keeps the rest', async (world) => {
  const { triggers } = await world.open()
  const options = { channel: 'acme' }
  await triggers.add({ ...TENS, timezone: 'Europe/Paris', misfire: 'skip', debounce: '5s', options })
  await triggers.update('tens', { kind: 'at', when: '2026-01-02T00:00:00Z' })
  const at = await triggers.get('tens')
  expect(at).toMatchObject({ kind: 'at', channel: 'acme', payload: { n: 1 }, misfire: 'coalesce', lateMs: 86_400_000 })
  for (const key of ['timezone', 'debounce']) expect(at).not.toHaveProperty(key)
  await triggers.update('tens', { kind: 'event', when: 'orders', debounce: '1m' })
  const event = await triggers.get('tens')
  expect(event).toMatchObject({ kind: 'event', rules: [{ type: 'orders' }], debounce: { combine: 'drop' } })
  for (const key of ['nextAt', 'lateMs']) expect(event).not.toHaveProperty(key)
  await triggers.update('tens', { kind: 'client' })
  expect(await triggers.get('tens')).toMatchObject({ kind: 'client', when: '', channel: 'acme' })
})

scenario([66, '002.36', 'C15'], 'another duration moves a one-shot, another payload does not', async (world) => {
  const ledger = await world.open()
  const add = (more: object): Promise<unknown> =>
    ledger.triggers.add({ id: 'in', kind: 'in', when: '10m', job: tick, payload: 1, ...more })
  await add({})
  await world.clock.advance('4m')
  await add({ payload: 2 })
  expect(await ledger.triggers.get('in')).toMatchObject({ nextAt: Date.UTC(2026, 0, 1, 0, 10) })
  await add({ payload: 2, when: '20m' })
  expect(await ledger.triggers.get('in')).toMatchObject({ nextAt: Date.UTC(2026, 0, 1, 0, 24) })
  await ledger.triggers.update('in', { when: '1m' })
  await world.clock.advance('2m')
  expect(await firings(world, 'in')).toEqual(['01-01 00:05:00'])
  expect(kindsOf(await storyOf(world, 'in'))).toEqual([
    'TriggerAdded',
    'TriggerUpdated',
    'TriggerUpdated',
    'TriggerUpdated',
    'TriggerFired',
    'TriggerRemoved',
  ])
})

scenario([66, '002.36'], 'what is there already is no change', async (world) => {
  const { job } = noted('coded', { before: () => true })
  const [ledger, stranger] = [await world.open({ jobs: [job] }), await world.open()]
  const { triggers } = ledger
  await triggers.add({ ...TENS, job, options: { channel: 'acme', name: 'n' } })
  await triggers.add({ id: 'in', kind: 'in', when: '1h', job, payload: { a: 1, b: 2 } })
  await triggers.add({ id: 'slot', kind: 'weekly', when: 'on mon before 5am', job, payload: { a: 1, b: 2 } })
  const before = await triggers.list()
  await world.clock.advance('1m')
  const same = { when: '*/10 * * * *', payload: { n: 1 }, options: { name: 'n', channel: 'acme' } }
  for (const by of [triggers, stranger.triggers]) {
    await by.update('tens', same)
    await by.update('slot', { when: 'on mon before 5am', payload: { b: 2, a: 1 } })
    for (const id of ['tens', 'in', 'slot']) await by.update(id, {})
  }
  expect(await triggers.list()).toEqual(before)
  for (const id of ['tens', 'in', 'slot']) expect(kindsOf(await storyOf(world, id))).toEqual(['TriggerAdded'])
  await stranger.triggers.update('tens', { payload: { n: 2 } })
  expect(await toldOf(world, 'tens', 'TriggerUpdated')).toMatchObject([{ code: true }])
})
