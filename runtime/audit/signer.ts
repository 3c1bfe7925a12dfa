/** Who signs checkpoints, and whose signatures are believed. */
import { toHex } from '../../domain/audit/encoding.js'
import type { Checkpoint, Note, VerifierKey } from '../../domain/audit/note.js'
import {
  keyOf,
  noteText,
  parseCheckpoint,
  parseNote,
  parseSignerKey,
  parseVerifierKey,
  toKeyName,
  verifierKey,
  verifierText,
} from '../../domain/audit/note.js'
import { InvalidOption, show } from '../../domain/errors.js'
import type { Digest } from '../ports/digest.js'
import type { Signatures } from '../ports/signatures.js'

/** A private key that is kept elsewhere. */
export interface Signer {
  /** Its public key, `<name>+<8 hex digits>+<base64>`. */
  readonly key: string
  /** Ed25519 over these bytes: 64 bytes. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>
}

export interface KeyTools {
  readonly digest: Digest
  readonly signatures: Signatures
}

/** Throws InvalidOption, which never shows a private key. */
export function toSigner(given: unknown, option: string, { digest, signatures }: KeyTools): Signer {
  if (typeof given === 'object' && given !== null) {
    const signer = given as Signer
    parseVerifierKey(digest.hash, signer.key, `${option}.key`)
    if (typeof signer.sign === 'function') return signer
    throw new InvalidOption(`${option}.sign`, 'a function', signer.sign)
  }
  const { name, keyId, seed } = parseSignerKey(given, option)
  const key = verifierKey(digest.hash, name, signatures.publicKeyOf(seed))
  if (toHex(key.keyId) !== toHex(keyId)) {
    throw new InvalidOption(option, `a private key whose id is ${toHex(key.keyId)}`, toHex(keyId))
  }
  return { key: verifierText(key), sign: (message) => signatures.sign(seed, message) }
}

/** Throws InvalidOption. */
export function toKeys(given: unknown, option: string, { digest }: KeyTools): VerifierKey[] | undefined {
  if (given === undefined) return undefined
  if (!Array.isArray(given)) throw new InvalidOption(option, 'an array of public keys', given)
  return given.map((text, index) => parseVerifierKey(digest.hash, text, `${option}[${index}]`))
}

/** A checkpoint that somebody else holds. */
export interface Held {
  readonly note: string
  readonly checkpoint: Checkpoint
}

/** Throws NoteUnreadable. */
export const toHeld = (note: string): Held => ({ note, checkpoint: parseCheckpoint(parseNote(note)) })

/** Throws TypeError where the signer gives no signature of its key. */
export async function signedNote(text: string, signer: Signer, tools: KeyTools): Promise<string> {
  const key = parseVerifierKey(tools.digest.hash, signer.key, 'signer.key')
  const message = new TextEncoder().encode(text)
  const signature = await signer.sign(message)
  const isOurs = signature instanceof Uint8Array && tools.signatures.verify(key.publicKey, message, signature)
  if (!isOurs) throw new TypeError(`Expected the signer to sign for ${verifierText(key)}, got ${show(signature)}.`)
  return noteText({ text, signatures: [{ name: key.name, keyId: key.keyId, signature }] })
}

/** The first of these keys that has signed the note; a signature of a key that is not among them says nothing. */
export function signedBy(note: Note, keys: readonly VerifierKey[], { signatures }: KeyTools): VerifierKey | undefined {
  const message = new TextEncoder().encode(note.text)
  for (const each of note.signatures) {
    const key = keyOf(each, keys)
    if (key !== undefined && signatures.verify(key.publicKey, message, each.signature)) return key
  }
  return undefined
}

/** Checked again where it is used: an origin is one line. */
export function toOrigin(given: unknown, option: string): string {
  const isSecret = typeof given === 'string' && given.includes('PRIVATE+KEY')
  if (typeof given === 'string' && /^[^\n\r]{1,200}$/.test(given) && !isSecret) return given
  throw new InvalidOption(option, 'a text of one line, of 1 to 200 characters', isSecret ? 'a private key' : given)
}

/** Of the name, as others who check signatures expect it. */
export const originOf = (signer: Signer, tools: KeyTools): string =>
  toKeyName(parseVerifierKey(tools.digest.hash, signer.key, 'signer.key').name, 'signer.key')
