import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidOption } from '../../../domain/errors.js'
import type { EventRule, SourceEvent } from '../../../domain/trigger/match.js'
import { matches, toRules } from '../../../domain/trigger/match.js'

describe('rules', () => {
  test.each<[unknown, EventRule[]]>([
    ['files', [{ type: 'files' }]],
    ['io.cozy.files:CREATED', [{ type: 'io.cozy.files', verbs: ['CREATED'] }]],
    ['a:CREATED,DELETED:1,2', [{ type: 'a', verbs: ['CREATED', 'DELETED'], values: ['1', '2'] }]],
    [
      'a:UPDATED:done,!=:meta.status',
      [{ type: 'a', verbs: ['UPDATED'], values: ['done', '!='], selector: 'meta.status' }],
    ],
    ['  a \n b* ', [{ type: 'a' }, { type: 'b*' }]],
    ['*', [{ type: '*' }]],
    [[{ type: 'a b', values: ['x:1', 'y z'], selector: undefined }], [{ type: 'a b', values: ['x:1', 'y z'] }]],
  ])('%j are read', (when, rules) => {
    expect(toRules(when, 'x')).toStrictEqual(rules)
  })

  test.each([
    '',
    '  ',
    ':CREATED',
    'a:',
    'a::1',
    'a:CREATED:',
    'a:CREATED:1:',
    'a:CREATED,',
    'a:CREATED:1,,2',
    'a:CREATED:1:b..c',
    'a:CREATED:1:b:c',
    'a:created',
    'a:NOTIFY',
    'a*b',
    '**',
    'a:UPDATED:!=',
    'a b:',
    null,
    undefined,
    5,
    {},
    [],
    ['a'],
    [null],
    [{}],
    [{ type: '' }],
    [{ type: 1 }],
    [{ type: 'a', verb: 'CREATED' }],
    [{ type: 'a', verbs: [] }],
    [{ type: 'a', verbs: 'CREATED' }],
    [{ type: 'a', values: [] }],
    [{ type: 'a', values: [''] }],
    [{ type: 'a', values: [1] }],
    [{ type: 'a', selector: 'b' }],
    [{ type: 'a', values: ['1'], selector: '.b' }],
    [{ type: 'a' }, { type: 'a', values: ['!='] }],
  ])('%j are none', (when) => {
    const error = caught(() => toRules(when, 'triggers.add.when'))
    expect(error).toBeInstanceOf(InvalidOption)
    expect(error).toMatchObject({ option: 'triggers.add.when', expected: expect.stringContaining('type[:VERB') })
  })

  test('survive being recorded, and given again', () => {
    const names = fc.string({ minLength: 1, maxLength: 5 }).filter((text) => !text.includes('*') && text !== '!=')
    const rule = fc.record(
      {
        type: names,
        verbs: fc.uniqueArray(fc.constantFrom('CREATED', 'UPDATED', 'DELETED'), { minLength: 1 }),
        values: fc.array(names, { minLength: 1, maxLength: 3 }),
      },
      { requiredKeys: ['type'] },
    )
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 4 }), (given) => {
        const rules = toRules(given, 'x')
        expect(toRules(JSON.parse(JSON.stringify(rules)), 'x')).toStrictEqual(rules)
      }),
    )
  })
})

describe('an event', () => {
  const created = { type: 'files', verb: 'CREATED', id: 'f1', document: { status: 'new', size: 5 } }
  const updated = { ...created, verb: 'UPDATED', old: { status: 'old', size: 5 } }
  const deleted = { type: 'files', verb: 'DELETED', id: 'f1', old: { status: 'old' } }

  test.each<[string, SourceEvent, boolean]>([
    ['files', created, true],
    ['file', created, false],
    ['file*', created, true],
    ['files*', created, true],
    ['files.*', created, false],
    ['*', deleted, true],
    ['files:CREATED', created, true],
    ['files:UPDATED,DELETED', created, false],
    ['files:UPDATED,DELETED', updated, true],
    ['folders files:DELETED', deleted, true],
    ['folders files:DELETED', updated, false],
    ['files', { ...created, verb: 'NOTIFY' }, false],
    ['*', { ...created, verb: 'created' }, false],
  ])('%s, by type and verb', (when, event, expected) => {
    expect(matches(toRules(when, 'x'), event)).toBe(expected)
  })

  test.each<[string, SourceEvent, boolean]>([
    ['files:CREATED:f1', created, true],
    ['files:CREATED:f2,f1', created, true],
    ['files:CREATED:f2', created, false],
    ['files:CREATED:d1', { ...created, within: ['d0', 'd1'] }, true],
    ['files:CREATED:d2', { ...created, within: ['d0', 'd1'] }, false],
    ['files:CREATED:f1', { type: 'files', verb: 'CREATED' }, false],
    ['files:CREATED:undefined', { type: 'files', verb: 'CREATED' }, false],
  ])('%s, by id and place', (when, event, expected) => {
    expect(matches(toRules(when, 'x'), event)).toBe(expected)
  })

  test.each<[string, SourceEvent, boolean]>([
    ['files:CREATED:new:status', created, true],
    ['files:CREATED:f1:status', created, false],
    ['files:CREATED:5:size', created, true],
    ['files:UPDATED:new:status', updated, true],
    ['files:UPDATED:old:status', updated, true],
    ['files:UPDATED:other:status', updated, false],
    ['files:DELETED:old:status', deleted, true],
    ['files:DELETED:new:status', deleted, false],
    ['files:CREATED:undefined:none', created, false],
    ['files:CREATED:x:status.inner', created, false],
  ])('%s, by a field', (when, event, expected) => {
    expect(matches(toRules(when, 'x'), event)).toBe(expected)
  })

  test.each<[string, unknown, boolean]>([
    ['a.b', { a: { b: 'v' } }, true],
    ['a.b', { 'a.b': 'v' }, false],
    ['a', { a: ['u', 'v'] }, true],
    ['a', { a: ['u'] }, false],
    ['a.1', { a: ['u', 'v'] }, true],
    ['a.1.b', { a: [0, { b: 'v' }] }, true],
    ['a.0', { a: 'v' }, false],
    ['a', ['v'], false],
    ['a', { a: { b: 'v' } }, false],
    ['a', { a: { toString: 'v' } }, false],
    ['a', null, false],
    ['a.b', { a: null }, false],
  ])('%s is found in %j: %s', (selector, document, expected) => {
    const event = { type: 't', verb: 'CREATED', document } as SourceEvent
    expect(matches([{ type: 't', values: ['v'], selector }], event)).toBe(expected)
  })

  test.each([
    ['true', { a: true }],
    ['null', { a: null }],
    ['0.5', { a: 0.5 }],
  ])('a value %s is that of %j', (value, document) => {
    expect(matches([{ type: 't', values: [value], selector: 'a' }], { type: 't', verb: 'CREATED', document })).toBe(
      true,
    )
  })

  test.each(['length', '__proto__', 'constructor', 'a.length'])('%s is no field of any document', (selector) => {
    const event = { type: 't', verb: 'UPDATED', document: ['v'], old: { a: ['v'] } }
    const values = ['1', String(Object), String({}), 'undefined', '!=']
    expect(matches([{ type: 't', values, selector }], event)).toBe(false)
  })
})

describe('!=', () => {
  const rules = toRules('t:CREATED,UPDATED,DELETED:!=:a', 'x')
  const seen = (document: unknown, old: unknown): boolean =>
    matches(rules, { type: 't', verb: 'UPDATED', document, old } as SourceEvent)

  test.each<[unknown, unknown, boolean]>([
    [{ a: 1 }, { a: 2 }, true],
    [{ a: 1 }, { a: 1 }, false],
    [{ a: 1 }, { a: '1' }, true],
    [{ a: 1, b: 1 }, { a: 1, b: 2 }, false],
    [{ a: { x: 1, y: [1, 2] } }, { a: { y: [1, 2], x: 1 } }, false],
    [{ a: [1, 2] }, { a: [2, 1] }, true],
    [{ a: [] }, { a: {} }, true],
    [{ a: { x: 1 } }, { a: { x: 1, y: 1 } }, true],
    [{ a: { x: 1 } }, { a: { y: 1 } }, true],
    [{ a: null }, {}, true],
    [{ a: null }, { a: { x: 1 } }, true],
    [{}, {}, false],
    [{}, undefined, true],
    [undefined, { a: 1 }, true],
  ])('%j after %j: %s', (document, old, expected) => {
    expect(seen(document, old)).toBe(expected)
  })

  test('says whether the JSON of the field differs, whatever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const [now, before] = JSON.parse(JSON.stringify([a, b])) as unknown[]
        expect(seen({ a: now }, { a: structuredClone(now) })).toBe(false)
        expect(seen({ a: now }, { a: before })).toBe(seen({ a: before }, { a: now }))
        if (JSON.stringify(now) === JSON.stringify(before)) expect(seen({ a: now }, { a: before })).toBe(false)
      }),
    )
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
