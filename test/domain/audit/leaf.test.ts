import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nodeDigest } from '../../../adapters/node/digest.js'
import { fromBase64, fromHex, toBase64, toHex } from '../../../domain/audit/encoding.js'
import { Entries, EntryWriter } from '../../../domain/audit/entries.js'
import { isLeaf, isLeafEntry, LeafHasher } from '../../../domain/audit/leaf.js'
import type { EventTexts } from '../../../domain/event.js'

const hasher = new LeafHasher(nodeDigest.hash)
const SALT = new Uint8Array(16).fill(7)

const EVENT: EventTexts = {
  ...{ stream: 'job-1', revision: 12, position: '0000000000000001', id: 'e1', type: 'Queued', at: 1_700_000_000_000 },
  data: '{"type":"mail"}',
}

/** The format as the document has it, in the plainest words. */
function byDefinition({ stream, revision, id, type, at, data, metadata, body }: EventTexts): string {
  const field = (text: string | undefined): string => (text === undefined ? '-' : `${Buffer.byteLength(text)}:${text}`)
  const seal =
    body === undefined
      ? undefined
      : 'hash' in body
        ? Buffer.from(body.hash).toString('hex')
        : nodeDigest.sha256(body.salt, body.content)
  const place = [stream, `${revision}`].map(field).join('')
  const facts = nodeDigest.sha256([id, type, `${at}`, data, metadata, seal].map(field).join(''))
  return nodeDigest.sha256(Uint8Array.of(0), place, Buffer.from(facts, 'hex'))
}

const content = fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array())
const events = fc.record({
  stream: fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.constantFrom('batch-1', 'bat', 'job-1')),
  revision: fc.nat(),
  position: fc.constant('1'),
  id: fc.uuid(),
  type: fc.constantFrom('Queued', 'Fertig\u00fc', 'NameTaken'),
  at: fc.nat(),
  data: fc.oneof(fc.constant('{}'), fc.string({ unit: 'binary' }), fc.constant('x'.repeat(9_000))),
  metadata: fc.option(fc.string({ unit: 'binary' }), { nil: undefined }),
  body: fc.option(fc.record({ salt: fc.constant(SALT), content }), { nil: undefined }),
})

test('a leaf is the hash of all fields, each behind its length in UTF-8', () => {
  fc.assert(
    fc.property(events, (event) => {
      expect(toHex(hasher.hash(event))).toBe(byDefinition(event))
    }),
  )
})

test('an entry tells its event, but for the body', () => {
  const log = fc.array(fc.record({ event: events, isErased: fc.boolean() }), { maxLength: 5 })
  fc.assert(
    fc.property(log, (given) => {
      const hash = new Uint8Array(32).fill(9)
      const stored = given.map(({ event, isErased }) => ({ ...event, ...(isErased && { body: { hash } }) }))
      const entries = new Entries(new EntryWriter().write(stored))
      for (const { body, ...rest } of stored) {
        expect(entries.next()).toBe(true)
        const isErased = body !== undefined && 'hash' in body
        expect(entries.texts()).toEqual({ ...rest, body: isErased ? { hash } : undefined })
        expect([entries.isErased, entries.hasType('Queued')]).toEqual([isErased, rest.type === 'Queued'])
        expect(isLeafEntry(entries)).toBe(isLeaf(rest))
      }
      expect(entries.next()).toBe(false)
    }),
  )
})

test('a leaf of today', () => {
  expect(toHex(hasher.hash(EVENT))).toBe(byDefinition(EVENT))
  expect(toHex(hasher.hash(EVENT))).toBe('a8548c5cb51cad44aac83fe1c689dfb1b1e04ad4f5a413b6574427cf1621f7e0')
})

test('the leaf stays when the body is erased', () => {
  const body = { salt: SALT, content: '{"secret":1}' }
  const erased = { hash: fromHex(nodeDigest.sha256(SALT, body.content)) as Uint8Array }
  expect(hasher.hash({ ...EVENT, body: erased })).toEqual(hasher.hash({ ...EVENT, body }))
  expect(hasher.hash({ ...EVENT, body })).not.toEqual(hasher.hash(EVENT))
})

test('no position is part of it: a log that moves to another store keeps its leaves', () => {
  expect(hasher.hash({ ...EVENT, position: '9' })).toEqual(hasher.hash(EVENT))
})

test('scaffolding is no leaf', () => {
  expect(isLeaf({ stream: 'job-1', type: 'Queued' })).toBe(true)
  expect(isLeaf({ stream: 'batch-1', type: 'BatchPart' })).toBe(false)
  expect(isLeaf({ stream: 'job-1', type: 'NameTaken' })).toBe(false)
})

test('bytes to text and back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
      expect(fromBase64(toBase64(bytes))).toEqual(bytes)
      expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'))
      expect(fromHex(toHex(bytes))).toEqual(bytes)
    }),
  )
  for (const text of ['A', 'AB=', 'AA', 'A===', 'AAA*', 'AB==', 'AA==AA==', 'AAAA='])
    expect(fromBase64(text)).toBeUndefined()
  for (const text of ['a', 'zz', 'AB']) expect(fromHex(text)).toBeUndefined()
})
