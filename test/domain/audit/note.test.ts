import { describe, expect, test } from 'vitest'
import { nodeDigest } from '../../../adapters/node/digest.js'
import { toHex } from '../../../domain/audit/encoding.js'
import { NoteUnreadable } from '../../../domain/audit/errors.js'
import {
  checkpointText,
  keyOf,
  noteText,
  parseCheckpoint,
  parseNote,
  parseSignerKey,
  parseVerifierKey,
  signerText,
  toKeyName,
  verifierKey,
  verifierText,
} from '../../../domain/audit/note.js'
import { InvalidOption } from '../../../domain/errors.js'

const { hash } = nodeDigest
const publicKey = new Uint8Array(32).fill(3)
const key = verifierKey(hash, 'example.com/jobs', publicKey)

describe('keys', () => {
  test('a public one as others write it', () => {
    const text = verifierText(key)
    const id = nodeDigest.sha256('example.com/jobs\n', Uint8Array.of(1), publicKey).slice(0, 8)
    expect(text).toBe(`example.com/jobs+${id}+${Buffer.from([1, ...publicKey]).toString('base64')}`)
    expect(parseVerifierKey(hash, `${text}\n`, 'keys')).toEqual(key)
  })

  test('the key that the signed note of Go is tested with', () => {
    const known = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
    expect(verifierText(parseVerifierKey(hash, known, 'keys'))).toBe(known)
  })

  test('a private one', () => {
    const seed = new Uint8Array(32).fill(9)
    expect(parseSignerKey(signerText(key, seed), 'key')).toEqual({ name: key.name, keyId: key.keyId, seed })
  })

  test.each(['', 'a+b', 'a b+00000000+AQ==', verifierText(key).replace('+', '+0'), `x${verifierText(key)}`])(
    'one that is none: %s',
    (text) => {
      expect(() => parseVerifierKey(hash, text, 'audit.verify.keys[0]')).toThrow(InvalidOption)
    },
  )

  test('no error shows a private key', () => {
    const secret = signerText(key, new Uint8Array(32).fill(9))
    for (const wrong of [() => parseVerifierKey(hash, secret, 'keys'), () => parseSignerKey(`${secret}x`, 'key')]) {
      expect(wrong).toThrow(InvalidOption)
      expect(wrong).toThrow(expect.objectContaining({ message: expect.not.stringContaining('CQkJ') }))
    }
  })

  test.each(['', 'a+b', 'a b', 'x'.repeat(201), 1])('the name %s is refused', (name) => {
    expect(() => toKeyName(name, 'name')).toThrow(InvalidOption)
  })
})

describe('notes', () => {
  const checkpoint = { origin: 'example.com/jobs', size: 12, root: new Uint8Array(32).fill(5) }
  const text = checkpointText(checkpoint)
  const signature = { name: key.name, keyId: key.keyId, signature: new Uint8Array(64).fill(1) }
  const note = noteText({ text, signatures: [signature, { ...signature, name: 'other' }] })

  test('a checkpoint, written and read', () => {
    expect(text).toBe(`example.com/jobs\n12\n${Buffer.alloc(32, 5).toString('base64')}\n`)
    expect(parseCheckpoint(parseNote(note))).toEqual(checkpoint)
    expect(parseNote(note).signatures).toHaveLength(2)
    expect(note).toContain('\n\n\u2014 example.com/jobs ')
  })

  test('lines that somebody has added to the three are no matter', () => {
    const extended = noteText({ text: `${text}more\n`, signatures: [signature] })
    expect(parseCheckpoint(parseNote(extended))).toEqual(checkpoint)
  })

  test('a signature belongs to the key of its name and id', () => {
    expect(keyOf(signature, [key])).toBe(key)
    expect(keyOf({ ...signature, name: 'other' }, [key])).toBeUndefined()
    expect(keyOf({ ...signature, keyId: Uint8Array.of(0, 0, 0, 0) }, [key])).toBeUndefined()
    expect(keyOf({ ...signature, signature: new Uint8Array(63) }, [key])).toBeUndefined()
  })

  test.each([
    undefined,
    '',
    text,
    `${text}\n`,
    note.slice(0, -1),
    note.replace('\u2014', '-'),
    note.replace(/[^ ]+\n$/, 'AAAA\n'),
  ])('no note: %j', (wrong) => {
    expect(() => parseNote(wrong)).toThrow(NoteUnreadable)
  })

  test.each(['\n12\nAA==\n', 'o\n012\nAA==\n', 'o\n-1\nAA==\n', 'o\n1\nAA==\n', 'o\n1\n'])(
    'no checkpoint: %j',
    (wrong) => {
      expect(() => parseCheckpoint({ text: wrong, signatures: [] })).toThrow(NoteUnreadable)
    },
  )

  test('the key id is four bytes', () => expect(toHex(key.keyId)).toHaveLength(8))
})
