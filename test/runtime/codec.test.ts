/** Bodies that hold the document of an event beside the payload. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvalidPayload } from '../../domain/errors.js'
import { encloseEvent, unpack } from '../../runtime/write/codec.js'

const rare = { trigger: { id: 't', occurrence: 1, event: true } } as const

test('whatever is enclosed comes out as it went in', () => {
  fc.assert(
    fc.property(fc.option(fc.json(), { nil: undefined }), fc.jsonValue(), (payload, value) => {
      const event = JSON.parse(JSON.stringify(value))
      const opened = unpack(JSON.parse(encloseEvent(payload, event, 'event', 1_000_000)), rare)
      expect(opened).toEqual({ ...(payload !== undefined && { payload: JSON.parse(payload) }), event })
    }),
  )
})

test.each([
  ['no trigger made the job', {}],
  ['its trigger put nothing beside it', { trigger: { id: 't', occurrence: 1 } }],
  ['it took the place of the first', { ...rare, payloadAt: 2 }],
])('a body is the payload itself where %s', (_, facts) => {
  const stored = { payload: 1, event: 2 }
  expect(unpack(stored, facts)).toEqual({ payload: stored })
})

test.each([undefined, null, 'no JSON'])(
  'a body that is no envelope, though it should be, is shown as it is: %s',
  (body) => {
    expect(unpack(body, rare)).toEqual({ payload: body })
  },
)

test.each([
  ['bytes', new Uint8Array(3), null, /`here` to be JSON where a document goes with it/],
  ['a document that is no JSON', '1', Number.NaN, /`here` to be JSON.*NaN/],
  ['what is too large in all', '"0123456789"', '0123456789', /`here` to be at most 44 bytes/],
])('%s cannot be enclosed', (_, payload, event, message) => {
  const enclose = (): string => encloseEvent(payload, event, 'here', 44)
  expect(enclose).toThrow(InvalidPayload)
  expect(enclose).toThrow(message)
})
