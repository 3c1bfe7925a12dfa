import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { JobledgerError } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import { JOB_EVENT_TYPES } from '../../domain/job/events.js'
import type { Upcaster, Upcasters } from '../../domain/upcast.js'
import { UnknownVersion, UPCASTERS, upcast, versionOf } from '../../domain/upcast.js'

/**
 * A type with four versions: 1 counts its seconds as text, 2 as a number, 3 counts milliseconds and says who wrote it,
 * 4 keeps the note in a body.
 */
const secondsAsNumber: Upcaster = (event) => ({
  ...event,
  data: { seconds: Number((event.data as { seconds: string }).seconds) },
})
const milliseconds: Upcaster = (event) => ({
  ...event,
  data: { ms: (event.data as { seconds: number }).seconds * 1_000 },
  metadata: { actor: 'unknown', ...event.metadata },
})
const noteInBody: Upcaster = (event) => ({ ...event, body: { salt: new Uint8Array(16), content: '"none"' } })
const TABLE: Upcasters = { Waited: [secondsAsNumber, milliseconds, noteInBody] }

const NONE = Symbol('no metadata')

function recorded(type: string, version: unknown = NONE, data: object = {}): RecordedEvent {
  const event = { stream: 'job-a', type, id: 'e1', at: 5, revision: 3, position: '07', data }
  return version === NONE ? event : { ...event, metadata: { schemaVersion: version as string } }
}

describe('an event in its present shape', () => {
  test.each<[string, RecordedEvent]>([
    ['of a type that never changed', recorded('Queued')],
    ['of a type that never changed, with metadata', { ...recorded('Queued'), metadata: { actor: 'ann' } }],
    ['that says it is of the first version', recorded('Queued', '1')],
    ['of a type that nobody knows', recorded('Invented')],
    ['of the newest version', recorded('Waited', '4', { ms: 5 })],
    ['of a type named like a part of every object', recorded('constructor')],
    ['of a type named like the prototype', recorded('__proto__', '1')],
  ])('%s is given back as it is', (_, event) => {
    expect(upcast(event, TABLE)).toBe(event)
  })

  test('is what the log of this program holds: no type has an old shape yet', () => {
    expect(UPCASTERS).toEqual({})
    expect(Object.isFrozen(UPCASTERS)).toBe(true)
    for (const type of JOB_EVENT_TYPES) expect(versionOf(type)).toBe(1)
  })
})

describe('an event in an old shape', () => {
  const body = { salt: new Uint8Array(16), content: '"none"' }

  test.each<[string, RecordedEvent, Partial<RecordedEvent>]>([
    [
      'goes through every version',
      recorded('Waited', NONE, { seconds: '2' }),
      { data: { ms: 2_000 }, metadata: { actor: 'unknown', schemaVersion: '4' }, body },
    ],
    [
      'of version 2 skips the first step',
      recorded('Waited', '2', { seconds: 2 }),
      { data: { ms: 2_000 }, metadata: { actor: 'unknown', schemaVersion: '4' }, body },
    ],
    [
      'of version 3 takes the last step only',
      recorded('Waited', '3', { ms: 7 }),
      { data: { ms: 7 }, metadata: { schemaVersion: '4' }, body },
    ],
  ])('%s', (_, event, expected) => {
    const { stream, type, id, at, revision, position } = event
    expect(upcast(event, TABLE)).toStrictEqual({ stream, type, id, at, revision, position, ...expected })
  })

  test('is left as it was, and what came of it is not taken for old again', () => {
    const event = recorded('Waited', NONE, Object.freeze({ seconds: '2' }))
    const copy = structuredClone(event)
    const risen = upcast(Object.freeze(event), TABLE)
    expect(event).toStrictEqual(copy)
    expect(upcast(risen, TABLE)).toBe(risen)
  })

  test('whatever its version, ends as the newest one, after the steps from there on', () => {
    const lengths = fc.integer({ min: 0, max: 12 })
    fc.assert(
      fc.property(lengths, fc.nat(12), fc.boolean(), (length, behind, silent) => {
        const version = Math.max(1, 1 + length - behind)
        const steps = Array.from(
          { length },
          (_, index): Upcaster =>
            (event) => {
              return { ...event, data: { taken: [...(event.data as { taken: number[] }).taken, index + 1] } }
            },
        )
        const event = recorded('T', silent && version === 1 ? NONE : String(version), { taken: [] })
        const risen = upcast(event, { T: steps })
        const taken = steps.map((_, index) => index + 1).slice(version - 1)
        expect(risen.data).toEqual({ taken })
        if (taken.length > 0) expect(risen.metadata?.schemaVersion).toBe(String(versionOf('T', { T: steps })))
      }),
    )
  })
})

describe('a version that is not known', () => {
  test.each<[string, unknown, number]>([
    ['Waited', '5', 4],
    ['Waited', '99999999999999999999', 4],
    ['Queued', '2', 1],
    ['Invented', '2', 1],
    ['constructor', '2', 1],
    ['toString', '2', 1],
    ['Waited', '0', 4],
    ['Waited', '-1', 4],
    ['Waited', '02', 4],
    ['Waited', '2.0', 4],
    ['Waited', '1e0', 4],
    ['Waited', ' 2', 4],
    ['Waited', '2\n', 4],
    ['Waited', '٢', 4],
    ['Waited', '', 4],
    ['Waited', 'two', 4],
    ['Waited', 2, 4],
    ['Waited', null, 4],
  ])('of %s: %j is refused', (type, version, newest) => {
    const error = caught(() => upcast(recorded(type, version), TABLE))
    expect(error).toBeInstanceOf(UnknownVersion)
    expect(error).toBeInstanceOf(JobledgerError)
    expect(error).toMatchObject({
      name: 'UnknownVersion',
      code: 'UNKNOWN_EVENT_VERSION',
      family: 'job',
      stream: 'job-a',
      revision: 3,
      type,
      found: String(version),
      newest,
    })
  })

  test('is named with where it stands and what was expected', () => {
    expect(() => upcast(recorded('Queued', '2'))).toThrow(
      'Expected the version of Queued at revision 3 of stream job-a to be 1, got "2"',
    )
    expect(() => upcast(recorded('Waited', 'x'), TABLE)).toThrow('to be 1 to 4, got "x"')
  })
})

describe('the version that is written', () => {
  test.each([
    ['Waited', 4],
    ['Queued', 1],
    ['constructor', 1],
    ['__proto__', 1],
  ])('of %s is %i', (type, version) => {
    expect(versionOf(type, TABLE)).toBe(version)
  })

  test('is read back without a step', () => {
    const event = recorded('Waited', String(versionOf('Waited', TABLE)))
    expect(upcast(event, TABLE)).toBe(event)
  })
})

function caught(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}
