/** Checkpoints as texts that anybody can check: signed notes and `tlog-checkpoint` of C2SP, the keys as others write them. */
import { InvalidOption } from '../errors.js'
import { fromBase64, fromHex, joined, sameBytes, toBase64, toHex } from './encoding.js'
import { NoteUnreadable } from './errors.js'
import type { Sha256 } from './leaf.js'

/** What is signed of a tree: whose it is, how many leaves it has, and its root. */
export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

export interface Signature {
  readonly name: string
  /** Four bytes that say which key of that name it is. */
  readonly keyId: Uint8Array
  readonly signature: Uint8Array
}

export interface Note {
  /** What was signed, with its last line feed. */
  readonly text: string
  readonly signatures: readonly Signature[]
}

/** Public, to check signatures with. */
export interface VerifierKey {
  readonly name: string
  readonly keyId: Uint8Array
  /** 32 bytes of Ed25519. */
  readonly publicKey: Uint8Array
}

/** The kind of key: Ed25519. */
const ED25519 = 0x01
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
const ID_BYTES = 4

/** No `+`, which divides a key's text, and nothing blank, which divides a signature's line. */
const NAME = /^[^\s+]{1,200}$/u

const isKeyName = (name: unknown): name is string => typeof name === 'string' && NAME.test(name)

const EXPECTED_NAME = 'a text of 1 to 200 characters without blanks and +, as example.com/jobs'

/** Throws InvalidOption. */
export function toKeyName(name: unknown, option: string): string {
  if (isKeyName(name)) return name
  throw new InvalidOption(option, EXPECTED_NAME, name)
}

/** sha256(name || 0x0A || 0x01 || public key), its first four bytes. */
export function verifierKey(sha256: Sha256, name: string, publicKey: Uint8Array): VerifierKey {
  const named = joined([new TextEncoder().encode(`${name}\n`), Uint8Array.of(ED25519), publicKey])
  return { name, publicKey, keyId: new Uint8Array(sha256(named).subarray(0, ID_BYTES)) }
}

/** `name+hex+base64`. */
export const verifierText = ({ name, keyId, publicKey }: VerifierKey): string =>
  `${name}+${toHex(keyId)}+${toBase64(joined([Uint8Array.of(ED25519), publicKey]))}`

/** `PRIVATE+KEY+name+hex+base64`: whoever reads it can sign. */
export const signerText = ({ name, keyId }: VerifierKey, seed: Uint8Array): string =>
  `${SIGNER}${name}+${toHex(keyId)}+${toBase64(joined([Uint8Array.of(ED25519), seed]))}`

const SIGNER = 'PRIVATE+KEY+'

interface KeyText {
  readonly name: string
  readonly keyId: Uint8Array
  readonly key: Uint8Array
}

function parseKey(text: string): KeyText | undefined {
  const [, name = '', hex = '', base64 = ''] = /^([^+]*)\+([^+]*)\+(.*)$/s.exec(text) ?? []
  const [keyId, bytes] = [fromHex(hex), fromBase64(base64)]
  if (!isKeyName(name) || keyId?.length !== ID_BYTES) return undefined
  if (bytes?.length !== 1 + KEY_BYTES || bytes[0] !== ED25519) return undefined
  return { name, keyId, key: bytes.subarray(1) }
}

/** Throws InvalidOption. */
export function parseVerifierKey(sha256: Sha256, text: unknown, option: string): VerifierKey {
  const parsed = typeof text === 'string' ? parseKey(text.trim()) : undefined
  const key = parsed && verifierKey(sha256, parsed.name, parsed.key)
  if (key !== undefined && parsed !== undefined && sameBytes(key.keyId, parsed.keyId)) return key
  const received = isSecret(text) ? SECRET : text
  throw new InvalidOption(option, 'a public key of Ed25519, <name>+<8 hex digits>+<base64>', received)
}

/** What error messages say in place of a private key. */
const SECRET = 'a text that begins as a private key does'
const isSecret = (text: unknown): boolean => typeof text === 'string' && text.includes(SIGNER)

/** What a private key is read to; its id is not looked at yet: that takes the public key. Throws InvalidOption that does not show it. */
export function parseSignerKey(text: unknown, option: string): { name: string; keyId: Uint8Array; seed: Uint8Array } {
  const given = typeof text === 'string' ? text.trim() : ''
  const parsed = given.startsWith(SIGNER) ? parseKey(given.slice(SIGNER.length)) : undefined
  if (parsed !== undefined) return { name: parsed.name, keyId: parsed.keyId, seed: parsed.key }
  throw new InvalidOption(
    option,
    `a private key of Ed25519, ${SIGNER}<name>+<8 hex digits>+<base64>`,
    typeof text === 'string' ? `a text of ${text.length} characters` : typeof text,
  )
}

/** What is signed. */
export const checkpointText = ({ origin, size, root }: Checkpoint): string => `${origin}\n${size}\n${toBase64(root)}\n`

export function noteText({ text, signatures }: Note): string {
  const lines = signatures.map(
    ({ name, keyId, signature }) => `\u2014 ${name} ${toBase64(joined([keyId, signature]))}\n`,
  )
  return `${text}\n${lines.join('')}`
}

/** Throws NoteUnreadable. */
export function parseNote(note: unknown): Note {
  const text = typeof note === 'string' ? note : ''
  const end = text.lastIndexOf('\n\n')
  if (end === -1) throw new NoteUnreadable('a blank line before its signatures', note)
  const lines = text.slice(end + 2).split('\n')
  if (lines.pop() !== '') throw new NoteUnreadable('a line feed at its end', text.slice(end + 2))
  if (lines.length === 0) throw new NoteUnreadable('at least one signature', note)
  return { text: text.slice(0, end + 1), signatures: lines.map(toSignature) }
}

function toSignature(line: string): Signature {
  const [, name, base64 = ''] = /^\u2014 (\S+) (\S+)$/u.exec(line) ?? []
  const bytes = fromBase64(base64)
  if (!isKeyName(name) || bytes === undefined || bytes.length <= ID_BYTES) {
    throw new NoteUnreadable('signatures of the form "\u2014 <name> <base64>"', line)
  }
  return { name, keyId: bytes.subarray(0, ID_BYTES), signature: bytes.subarray(ID_BYTES) }
}

/** Throws NoteUnreadable. Lines after the third are extensions, which nobody need understand. */
export function parseCheckpoint({ text }: Note): Checkpoint {
  const [origin = '', size = '', base64 = ''] = text.split('\n')
  const root = fromBase64(base64)
  if (origin === '') throw new NoteUnreadable('an origin in its first line', text)
  if (!/^(0|[1-9]\d*)$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new NoteUnreadable('the number of leaves in its second line', size)
  }
  if (root?.length !== KEY_BYTES)
    throw new NoteUnreadable('the root hash in its third line, 32 bytes in base64', base64)
  return { origin, size: Number(size), root }
}

/** Which of these keys a signature says that it was made with. */
export function keyOf({ name, keyId, signature }: Signature, keys: readonly VerifierKey[]): VerifierKey | undefined {
  if (signature.length !== SIGNATURE_BYTES) return undefined
  return keys.find((key) => key.name === name && sameBytes(key.keyId, keyId))
}
