import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Json } from '../../../domain/event.js'
import { appendOk, body, collect, event, freshStores, plainBody, type StoreFactory } from './harness.js'

const ODD = [
  '',
  ' ',
  'zero \u0000 byte',
  'quote " and \\ slash',
  'ünï 漢字 🎉',
  '\u2028 line',
  'half \ud83d pair',
  '__proto__',
  '\ufeffmark',
  'control \u001c\u001d\u001e\u001f',
]

export function roundTripTests(factory: StoreFactory): void {
  const under = freshStores(factory)

  it('reads back byte for byte: facts and metadata of any JSON', async () => {
    const { store } = under()
    let count = 0
    const facts = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ noUnicodeString: false }))
    const metadata = fc.option(fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })), {
      nil: undefined,
    })
    await fc.assert(
      fc.asyncProperty(facts, metadata, async (data, about) => {
        const stream = `job-${count++}`
        // JSON has no minus zero and no undefined: what is given is what JSON keeps.
        const written = event(stream, { data: JSON.parse(JSON.stringify(data)), metadata: about })
        await appendOk(store, { [stream]: 'none' }, written)
        const [read] = await collect(store.readStream(stream))
        expect(JSON.stringify(read?.data)).toBe(JSON.stringify(written.data))
        const kept = about === undefined || Object.keys(about).length === 0 ? undefined : about
        expect(JSON.stringify(read?.metadata)).toBe(JSON.stringify(kept))
      }),
      { numRuns: 150 },
    )
  })

  it.each(ODD.map((text) => [JSON.stringify(text), text]))(
    'keeps the string %s wherever a string may be',
    async (_, text) => {
      const { store } = under()
      const stream = `job-${/\p{Surrogate}/u.test(text) ? JSON.stringify(text) : text}`
      const data: Json = { [text]: text, list: [text, { text }] }
      const content = JSON.stringify(data)
      await appendOk(
        store,
        { [stream]: 'none' },
        event(stream, { data, metadata: { actor: text }, body: body(content) }),
      )
      const [read] = await collect(store.readStream(stream, { bodies: true }))
      expect(read).toMatchObject({ stream, data, metadata: { actor: text }, body: { content } })
      expect((await collect(store.readAll()))[0]?.stream).toBe(stream)
    },
  )

  it.each([
    ['no text', ''],
    ['JSON text', '{"to":"somebody"}'],
    ['one control character', '\u001d'],
    ['several of them', '\u001c\u001d\u001e\u001f\u0010'],
    ['text that is no JSON', 'Error: boom\n  at nowhere'],
    ['no bytes', new Uint8Array(0)],
    ['all bytes', Uint8Array.from({ length: 256 }, (_, index) => index)],
    ['bytes that read like text', new TextEncoder().encode('{"a":1}')],
    ['a part of a larger array', new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3)],
  ])('keeps a body of %s as it is, text as text and bytes as bytes', async (_, content) => {
    const { store } = under()
    const written = body(content)
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { body: written }))
    const expected = plainBody({ ...event('job-1'), revision: 0, position: '', body: written })
    expect(plainBody((await collect(store.readStream('job-1', { bodies: true })))[0])).toEqual(expected)
    expect(plainBody((await collect(store.readAll({ bodies: true })))[0])).toEqual(expected)
  })

  it('keeps a body of some MiB', async () => {
    const { store } = under()
    const text = JSON.stringify('äöü'.repeat(700_000))
    const bytes = new Uint8Array(3_000_000).map((_, index) => index * 31)
    await appendOk(
      store,
      { 'job-1': 'none' },
      event('job-1', { body: body(text) }),
      event('job-1', { body: body(bytes) }),
    )
    const [first, second] = await collect(store.readStream('job-1', { bodies: true }))
    expect(first?.body).toMatchObject({ content: text })
    const content = second?.body !== undefined && 'content' in second.body ? second.body.content : ''
    expect(Buffer.compare(Buffer.from(content), bytes)).toBe(0)
  })

  it('gives bodies only when asked, and has no metadata where none or an empty one was given', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { body: body('x') }), event('job-1', { metadata: {} }))
    for (const recorded of [...(await collect(store.readStream('job-1'))), ...(await collect(store.readAll()))]) {
      expect(recorded.body).toBeUndefined()
      expect(recorded.metadata).toBeUndefined()
    }
  })

  it('keeps the hash of a body that was erased in another log', async () => {
    const { store } = under()
    const hash = createHash('sha256').update('what it was').digest()
    await appendOk(
      store,
      { 'job-1': 'none' },
      event('job-1', { body: { hash } }),
      event('job-1', { body: body('x') }),
      event('job-1', { body: { hash: Uint8Array.from(hash) } }),
    )
    const read = await collect(store.readStream('job-1', { bodies: true }))
    const hashes = read.map((each) => each.body !== undefined && 'hash' in each.body && Buffer.from(each.body.hash))
    expect(hashes).toEqual([hash, false, hash])
    const [bare] = await collect(store.readAll({ limit: 1 }))
    expect(bare?.body).toBeUndefined()
  })

  it('a reader that changes what it got changes nothing for the next one', async () => {
    const { store } = under()
    await appendOk(store, { 'job-1': 'none' }, event('job-1', { data: { list: [1] } }))
    const [first] = await collect(store.readStream('job-1'))
    Object.assign(first?.data ?? {}, { list: 'spoilt' })
    expect((await collect(store.readStream('job-1')))[0]?.data).toEqual({ list: [1] })
  })
}
