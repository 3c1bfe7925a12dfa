/**
 * The one format of files that leave the ledger: exports, proofs and sealed segments. Lines of JSON: a manifest, then events as
 * they are stored, then a line with the hash of all before it. `docs/audit-format.md` is its specification.
 */
import type { Body, ErasedBody, EventTexts, Json } from '../event.js'
import { fromBase64, fromHex, toBase64, toHex } from './encoding.js'
import { SALT_BYTES } from './entries.js'
import { BundleUnreadable } from './errors.js'
import { HASH_BYTES } from './leaf.js'

export const BUNDLE_FORMAT = 'jobledger/1'

export type BundleKind = 'export' | 'proof' | 'segment'
const KINDS: readonly unknown[] = ['export', 'proof', 'segment']

/** The first line. What a reader does not know it leaves alone. */
export interface Manifest {
  readonly format: typeof BUNDLE_FORMAT
  readonly kind: BundleKind
  readonly logId: string
  readonly origin?: string
  /** Lines between the first and the last that are events. */
  readonly events: number
  readonly streams: number
  /** Positions of the first and the last event; '' where there is none. */
  readonly from: string
  readonly to: string
  readonly filter?: Json
  /** The signed note that all of this is proven against. */
  readonly checkpoint?: string
  /** Of a proof: that the tree of `checkpoint` begins with that of the note `from`. */
  readonly consistency?: { readonly from: string; readonly proof: readonly string[] }
  /**
   * The lines are all leaves from `index` on, in order and without a gap; with `outside`, the roots of the subtrees around
   * them, they make the root of `checkpoint`.
   */
  readonly slice?: { readonly index: number; readonly outside: readonly string[] }
  /** Of a proof of a job: how many events of it came after the checkpoint. They are not in the file. */
  readonly later?: number
  /** Of an export that is no slice: as many of its events, the last ones, came after the checkpoint. */
  readonly unsealed?: number
  /** Why nothing is proven of it, though there are checkpoints. */
  readonly unproven?: string
  readonly [more: string]: Json | undefined
}

export type BundleLine =
  | {
      readonly kind: 'event'
      readonly event: EventTexts
      readonly index?: number
      readonly path?: readonly Uint8Array[]
    }
  /** Of an event that was removed, all that is left. */
  | { readonly kind: 'leaf'; readonly index: number; readonly leaf: Uint8Array }
  | { readonly kind: 'end'; readonly events: number; readonly sha256: string }

/** Each of these with its line feed. */
export const manifestLine = (manifest: Manifest): string => `${JSON.stringify(manifest)}\n`

export function eventLine(
  { body, ...texts }: EventTexts,
  place?: { index: number; path?: readonly Uint8Array[] },
): string {
  const { stream, revision, position, id, type, at, data, metadata } = texts
  return `${JSON.stringify({
    ...{ stream, revision, position, id, type, at, data, metadata },
    ...bodyFields(body),
    index: place?.index,
    path: place?.path?.map(toBase64),
  })}\n`
}

export const leafLine = (index: number, leaf: Uint8Array): string => `${JSON.stringify({ index, leaf: toHex(leaf) })}\n`

/** `sha256`: hex, of all bytes before this line. */
export const endLine = (events: number, sha256: string): string => `${JSON.stringify({ end: true, events, sha256 })}\n`

function bodyFields(body: Body | ErasedBody | undefined): Readonly<Record<string, string>> {
  if (body === undefined) return {}
  if ('hash' in body) return { hash: toHex(body.hash) }
  const salt = toBase64(body.salt)
  return typeof body.content === 'string' ? { salt, text: body.content } : { salt, bytes: toBase64(body.content) }
}

type Fields = Readonly<Record<string, unknown>>

function fieldsOf(text: string, line: number): Fields {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  } catch {}
  throw new BundleUnreadable(line, 'an object in JSON', text)
}

/** Throws BundleUnreadable. */
export function readManifest(text: string): Manifest {
  const manifest = fieldsOf(text, 1)
  const { format, kind, logId, events, streams, from, to } = manifest
  if (format !== BUNDLE_FORMAT) throw new BundleUnreadable(1, `a manifest with format "${BUNDLE_FORMAT}"`, format)
  if (!KINDS.includes(kind)) throw new BundleUnreadable(1, `a manifest of kind ${KINDS.join(', ')}`, kind)
  const isWhole = [logId, from, to].every((each) => typeof each === 'string') && [events, streams].every(isCount)
  if (!isWhole) throw new BundleUnreadable(1, 'a manifest with logId, events, streams, from and to', text)
  return manifest as unknown as Manifest
}

/** `line`: from 1, for errors. Throws BundleUnreadable. */
export function readLine(text: string, line: number): BundleLine {
  const fields = fieldsOf(text, line)
  if (fields.end === true) return readEnd(fields, line)
  if (fields.leaf !== undefined) return readLeaf(fields, line)
  const { index, path } = fields
  if (index !== undefined && !isCount(index))
    throw new BundleUnreadable(line, 'an event whose index is a number', index)
  return {
    kind: 'event',
    event: readEvent(fields, line),
    ...(index !== undefined && { index: index as number }),
    ...(path !== undefined && { path: readHashes(path, line) }),
  }
}

function readEnd({ events, sha256 }: Fields, line: number): BundleLine {
  if (isCount(events) && typeof sha256 === 'string') return { kind: 'end', events, sha256 }
  throw new BundleUnreadable(line, 'an end with events and sha256', sha256)
}

function readLeaf({ index, leaf }: Fields, line: number): BundleLine {
  const bytes = typeof leaf === 'string' ? fromHex(leaf) : undefined
  if (isCount(index) && bytes?.length === HASH_BYTES) return { kind: 'leaf', index, leaf: bytes }
  throw new BundleUnreadable(line, 'a leaf with index and 32 bytes in hex', leaf)
}

function readEvent(fields: Fields, line: number): EventTexts {
  const { stream, revision, position, id, type, at, data, metadata } = fields
  const texts = [stream, position, id, type, data, metadata ?? '']
  if (!texts.every((text) => typeof text === 'string') || !isCount(revision) || !isCount(at)) {
    throw new BundleUnreadable(line, 'an event with stream, revision, position, id, type, at and data', fields)
  }
  const whose = metadata ?? undefined
  return { stream, revision, position, id, type, at, data, metadata: whose, body: readBody(fields, line) } as EventTexts
}

/** Nothing; the hash of what was erased; or a salt with either a text or bytes. Whatever else is there is not covered by the leaf. */
function readBody({ salt, text, bytes, hash }: Fields, line: number): Body | ErasedBody | undefined {
  const shape = [salt, text, bytes, hash].map((each) => (each === undefined ? '-' : 'x')).join('')
  if (shape === '----') return undefined
  const erased = shape === '---x' && typeof hash === 'string' ? fromHex(hash) : undefined
  if (erased?.length === HASH_BYTES) return { hash: erased }
  const seal = (shape === 'xx--' || shape === 'x-x-') && typeof salt === 'string' ? fromBase64(salt) : undefined
  const content = typeof text === 'string' ? text : typeof bytes === 'string' ? fromBase64(bytes) : undefined
  if (seal?.length === SALT_BYTES && content !== undefined) return { salt: seal, content }
  throw new BundleUnreadable(line, 'an event whose body is 16 bytes of salt with text or bytes, or hash', salt ?? hash)
}

function readHashes(path: unknown, line: number): Uint8Array[] {
  const hashes = Array.isArray(path)
    ? path.map((each) => (typeof each === 'string' ? fromBase64(each) : undefined))
    : []
  if (Array.isArray(path) && hashes.every((each) => each?.length === HASH_BYTES)) return hashes as Uint8Array[]
  throw new BundleUnreadable(line, 'an event whose path is hashes in base64', path)
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
