/** Whatever is wrong about a trigger is named, and nothing of it is stored. */
import { expect } from 'vitest'
import { rejection } from '../engine/support.js'
import * as tables from './bad-trigger-tables.js'
import { GOOD } from './bad-trigger-tables.js'
import { refuses, thrownBy } from './refusals.js'
import { scenario } from './scenario.js'
import { kindsOf, storyOf, tick } from './trigger-acts.js'

const onlyOptions = (rows: typeof tables.TRIGGER): typeof tables.TRIGGER =>
  rows.filter(([option, given]) => option !== '' && option !== '.id' && typeof given === 'object')

const NO_OBJECTS: readonly (readonly [given: unknown, received: string])[] = [
  [null, 'null'],
  [5, '5'],
  [[], 'an array of 0'],
]
const noObject = (verb: string): object => ({
  ...{ code: 'INVALID_OPTION', option: `triggers.${verb}`, expected: 'an object' },
})

scenario([66, '002.54', '001.25'], 'a trigger that makes no sense is refused, and says where', async (world) => {
  const ledger = await world.open()
  await refuses('triggers.add', tables.TRIGGER, (given: object) => ledger.triggers.add({ ...GOOD, ...given } as never))
  for (const [odd, received] of NO_OBJECTS)
    expect(await thrownBy(() => ledger.triggers.add(odd as never))).toMatchObject({ ...noObject('add'), received })
  for await (const page of (await world.store()).readAll()) expect(page).toEqual([])
  expect(await ledger.triggers.add({ ...GOOD, id: 'good' })).toMatchObject({ outcome: 'created' })
})

scenario([66, '002.54'], 'nor is one previewed', async (world) => {
  const { triggers } = await world.open()
  const rows = onlyOptions(tables.TRIGGER).filter(([option]) => /^\.(kind|when|timezone|late)$/.test(option))
  await refuses('triggers.preview', rows, (given: object) => triggers.preview({ ...GOOD, ...given } as never))
  for (const count of [0, 1_001, 1.5, '5', null])
    expect(await thrownBy(() => triggers.preview(GOOD, count as never))).toMatchObject({
      ...{ code: 'INVALID_OPTION', option: 'triggers.preview.count', expected: 'an integer from 1 to 1000' },
    })
})

scenario([66, '002.54'], 'nor changed into one, and what it was it stays', async (world) => {
  const { triggers } = await world.open()
  await triggers.add({ ...GOOD, id: 'good' })
  const before = await triggers.get('good')
  // There undefined means as it was, and null without.
  const isFault = ([key, value]: [string, unknown]): boolean =>
    value !== undefined && (value !== null || key === 'when')
  const rows = onlyOptions(tables.TRIGGER).filter(([, given]) => Object.entries(given as object).every(isFault))
  await refuses('triggers.update', rows, (given: object) => triggers.update('good', given))
  await refuses('triggers.update', [['.id', { id: 'x' }, /^one of kind, when/, '"id"']], (given: object) =>
    triggers.update('good', given),
  )
  for (const [odd, received] of NO_OBJECTS)
    expect(await thrownBy(() => triggers.update('good', odd as never))).toMatchObject({
      ...noObject('update'),
      received,
    })
  expect(await triggers.get('good')).toEqual(before)
  expect(kindsOf(await storyOf(world, 'good'))).toEqual(['TriggerAdded'])
})

scenario([66, '002.54', '001.25'], 'a payload that is missing, or cannot be kept, is refused', async (world) => {
  const { triggers } = await world.open({ maxPayloadBytes: 1_024 })
  await triggers.add({ ...GOOD, id: 'good' })
  await triggers.add({ id: 'hook', kind: 'webhook', job: tick })
  const large = 'x'.repeat(2_000)
  for (const [payload] of [...tables.PAYLOADS, [large]]) {
    const at = (verb: string): object => ({
      code: 'INVALID_PAYLOAD',
      family: 'option',
      option: `triggers.${verb}.payload`,
    })
    expect(await rejection(triggers.add({ ...GOOD, payload }))).toMatchObject(at('add'))
    if (payload === undefined) continue
    expect(await rejection(triggers.update('good', { payload }))).toMatchObject(at('update'))
    expect(await rejection(triggers.fire('good', { payload }))).toMatchObject(at('fire'))
    expect(await rejection(triggers.receive('hook', payload))).toMatchObject(at('receive'))
  }
  // With an event beside it there is no place for bytes.
  const bytes = await rejection(triggers.add({ ...GOOD, kind: 'event', when: 'a', payload: new Uint8Array(2) }))
  expect(bytes).toMatchObject({ option: 'triggers.add.payload', expected: expect.stringMatching(/^JSON, no bytes/) })
  expect(await triggers.list()).toMatchObject([{ id: 'good' }, { id: 'hook' }])
  expect(kindsOf(await storyOf(world, 'good'))).toEqual(['TriggerAdded'])
})

scenario([62, '002.54'], 'an event that makes no sense fires nothing', async (world) => {
  const ledger = await world.open()
  await ledger.triggers.add({ ...GOOD, id: 'all', kind: 'event', when: '*' })
  const good = { type: 'orders', verb: 'CREATED' }
  await refuses('publish', tables.PUBLISH, (given: object | null) =>
    ledger.publish(given === null ? (given as never) : ({ ...good, ...given } as never)),
  )
  for (const part of ['document', 'old'])
    expect(await thrownBy(() => ledger.publish({ ...good, [part]: { a: 1n } }))).toMatchObject({
      ...{ code: 'INVALID_PAYLOAD', option: `publish.${part}` },
    })
  expect(kindsOf(await storyOf(world, 'all'))).toEqual(['TriggerAdded'])
})

scenario([66, 64, '002.54'], 'what is asked of a trigger wrongly changes nothing', async (world) => {
  const ledger = await world.open()
  const { triggers } = ledger
  const workerId = await ledger.workers.register()
  await triggers.add({ ...GOOD, id: 'good' })
  await triggers.add({ id: 'client', kind: 'client', job: tick, payload: 1 })
  await refuses('triggers.list', tables.LIST, (given) => triggers.list(given))
  await refuses(
    'triggers.pause',
    [
      ['.reason', { reason: '' }, /^a text of 1/, '""'],
      ['.why', { why: 1 }, /^one of reason/, '"why"'],
    ],
    (given) => triggers.pause('good', given),
  )
  await refuses(
    'triggers.fire',
    [
      ['.manual', { manual: 'yes' }, /^true or false$/, '"yes"'],
      ['.id', { id: 'x' }, /^one of payload, manual$/, '"id"'],
    ],
    (given) => triggers.fire('good', given),
  )
  await refuses(
    'triggers.launch',
    [
      ['', null, /^an object$/, 'null'],
      ['.workerId', {}, /^a text of 1/, 'undefined'],
      ['.lease', { workerId, lease: 10 }, /^a duration of at least 1 s$/, '10'],
      ['.token', { workerId, token: 't' }, /^one of workerId, payload, lease$/, '"token"'],
    ],
    (given) => triggers.launch('client', given),
  )
  for (const verb of [
    'get',
    'update',
    'pause',
    'resume',
    'remove',
    'fire',
    'receive',
    'next',
    'jobs',
    'state',
  ] as const)
    for (const odd of [undefined, null, '', 5, {}]) {
      const error = await thrownBy(() =>
        (triggers[verb] as (id: unknown, more: object) => unknown).call(triggers, odd, {}),
      )
      expect(error, `${verb} ${odd}`).toMatchObject({ code: 'INVALID_OPTION' })
    }
  for (const [verb, option] of [
    ['next', 'count'],
    ['jobs', 'limit'],
  ] as const)
    for (const odd of [0, 1_001, '5', Number.NaN])
      expect(await thrownBy(() => triggers[verb]('good', odd as never))).toMatchObject({
        option: `triggers.${verb}.${option}`,
      })
  for (const id of ['good', 'client']) expect(kindsOf(await storyOf(world, id))).toEqual(['TriggerAdded'])
})

scenario([66], 'what is given is left as it was', async (world) => {
  const { triggers } = await world.open()
  const options = Object.freeze({ queue: 'q', unique: Object.freeze({ key: 'k' }) })
  const debounce = Object.freeze({ window: '5s', combine: 'first' } as const)
  const when = Object.freeze([Object.freeze({ type: 'a', verbs: Object.freeze(['CREATED'] as const) })])
  const given = Object.freeze({
    id: 'e',
    kind: 'event',
    when,
    job: tick,
    payload: Object.freeze({ n: 1 }),
    options,
    debounce,
  } as const)
  const before = structuredClone({ ...given, job: null })
  await triggers.add(given)
  expect({ ...given, job: null }).toEqual(before)
})
