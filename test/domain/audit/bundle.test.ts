import { expect, test } from 'vitest'
import type { Manifest } from '../../../domain/audit/bundle.js'
import { endLine, eventLine, leafLine, manifestLine, readLine, readManifest } from '../../../domain/audit/bundle.js'
import { BundleUnreadable } from '../../../domain/audit/errors.js'
import type { EventTexts } from '../../../domain/event.js'

const EVENT: EventTexts = {
  ...{ stream: 'job-1', revision: 0, position: '01', id: 'e1', type: 'Queued', at: 5 },
  ...{ data: '{"a": 1}', metadata: undefined, body: undefined },
}
const salt = new Uint8Array(16).fill(2)
const hash = new Uint8Array(32).fill(4)

const MANIFEST: Manifest = {
  ...{ format: 'jobledger/1', kind: 'export', logId: 'l1', events: 1, streams: 1, from: '01', to: '01' },
}

test('a manifest, also with what is not known here', () => {
  expect(readManifest(manifestLine({ ...MANIFEST, more: [1] }))).toEqual({ ...MANIFEST, more: [1] })
})

test.each([
  ['bare', EVENT],
  ['with metadata', { ...EVENT, metadata: '{"actor":"ada"}' }],
  ['with a text', { ...EVENT, body: { salt, content: '{"to":"\u00fc"}' } }],
  ['with bytes', { ...EVENT, body: { salt, content: Uint8Array.of(1, 2, 3) } }],
  ['with what is left of a body', { ...EVENT, body: { hash } }],
])('an event %s', (_, event) => {
  const line = eventLine(event)
  expect(line.endsWith('}\n')).toBe(true)
  expect(readLine(line, 2)).toEqual({ kind: 'event', event })
  expect(readLine(eventLine(event, { index: 3, path: [hash] }), 2)).toEqual({
    kind: 'event',
    event,
    index: 3,
    path: [hash],
  })
})

test('a leaf, and the end', () => {
  expect(readLine(leafLine(7, hash), 2)).toEqual({ kind: 'leaf', index: 7, leaf: hash })
  expect(readLine(endLine(1, 'ab'), 3)).toEqual({ kind: 'end', events: 1, sha256: 'ab' })
})

test.each([
  'x',
  '[]',
  '{"stream":"a"}',
  eventLine(EVENT).replace('"at":5', '"at":"5"'),
  eventLine(EVENT).replace('}\n', ',"salt":"AA=="}'),
  eventLine(EVENT).replace('}\n', ',"hash":"00"}'),
  eventLine(EVENT).replace('}\n', ',"path":["AA=="]}'),
  eventLine(EVENT).replace('}\n', ',"index":-1}'),
  '{"index":1,"leaf":"00"}',
  '{"end":true}',
])('a line that is none is named by its number: %s', (line) => {
  expect(() => readLine(line, 41)).toThrow(BundleUnreadable)
  expect(() => readLine(line, 41)).toThrow(/line 41/)
})

test.each(['{}', manifestLine({ ...MANIFEST, events: -1 }), manifestLine(MANIFEST).replace('export', 'other')])(
  'a manifest that is none: %s',
  (line) => {
    expect(() => readManifest(line)).toThrow(BundleUnreadable)
  },
)
