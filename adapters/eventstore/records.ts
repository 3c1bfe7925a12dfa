/**
 * Events as the server keeps them. Facts are the data, as JSON. Our own time, the salt and the body go with the metadata, whose
 * values are all strings: of the data a server of 24.x takes 1 MiB in one append, of the metadata as much as fits a record, and
 * newer ways of appending allow no other values.
 */

import shared from '@eventstore/db-client/generated/shared_pb.js'
import type { BatchAppendReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { Metadata, NewEvent, RecordedEvent } from '../../domain/event.js'
import { toPosition } from './positions.js'

export type Proposed = BatchAppendReq.ProposedMessage
export type Recorded = ReadResp.ReadEvent.RecordedEvent

const AT = 'jobledger-at'
const SALT = 'jobledger-salt'
const TEXT = 'jobledger-text'
const BYTES = 'jobledger-bytes'
/** Of a body that was erased where this log was copied from. */
const HASH = 'jobledger-hash'
/** Before a key of the caller's that begins like ours. */
const OWN = 'jobledger-own-'

/** An event to append, its texts made: nothing can throw after this. Throws TypeError for facts that JSON cannot hold. */
export function propose({ id, type, at, data, metadata, body }: NewEvent): Proposed {
  return proposal(id, type, JSON.stringify(data), metadataText(at, metadata, body))
}

export function proposal(id: string, type: string, data: string, metadata: string): Proposed {
  const message = new streams.BatchAppendReq.ProposedMessage()
  message.setId(new shared.UUID().setString(id))
  message.getMetadataMap().set('type', type).set('content-type', 'application/json')
  message.setData(Buffer.from(data))
  message.setCustomMetadata(Buffer.from(metadata))
  return message
}

/** Bytes of an event's record, but for a little that the server adds. */
export function sizeOf(message: Proposed): { readonly data: number; readonly whole: number } {
  const data = message.getData_asU8().length
  return { data, whole: data + message.getCustomMetadata_asU8().length }
}

function metadataText(at: number, metadata: Metadata | undefined, body: NewEvent['body']): string {
  const ours = JSON.stringify({ [AT]: String(at), ...bodyFields(body) })
  const theirs = metadata === undefined ? '{}' : JSON.stringify(escaped(metadata))
  return theirs === '{}' ? ours : `${theirs.slice(0, -1)},${ours.slice(1)}`
}

function bodyFields(body: NewEvent['body']): Readonly<Record<string, string>> {
  if (body === undefined) return {}
  if ('hash' in body) return { [HASH]: base64(body.hash) }
  const { salt, content } = body
  const kept = typeof content === 'string' ? { [TEXT]: content } : { [BYTES]: base64(content) }
  return { [SALT]: base64(salt), ...kept }
}

function bodyIn({ [SALT]: salt = '', [TEXT]: text, [BYTES]: bytes, [HASH]: hash }: Fields): RecordedEvent['body'] {
  if (hash !== undefined) return { hash: Buffer.from(hash, 'base64') }
  const content = text ?? (bytes === undefined ? undefined : Buffer.from(bytes, 'base64'))
  return content === undefined ? undefined : { salt: Buffer.from(salt, 'base64'), content }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
}

const isLikeOurs = (key: string): boolean => key.startsWith('jobledger-')

function escaped(metadata: Metadata): Metadata {
  if (!Object.keys(metadata).some(isLikeOurs)) return metadata
  return Object.fromEntries(Object.entries(metadata).map(([key, value]) => [isLikeOurs(key) ? OWN + key : key, value]))
}

type Fields = Readonly<Record<string, string | undefined>>

/** What of a record is read. */
export interface Decoded {
  readonly event: RecordedEvent
  /** Bytes of facts, metadata and body. */
  readonly bytes: number
}

/**
 * undefined for an event that is none of ours: of another program, or the server's own. Throws SyntaxError where one of ours
 * cannot be read. `skip`: how much of the stream's name is the ledger's prefix.
 */
export function decode(record: Recorded, skip: number, bodies: boolean): Decoded | undefined {
  const type = record.getMetadataMap().get('type') ?? ''
  if (type.startsWith('$')) return undefined
  const raw = textOf(record.getCustomMetadata_asU8())
  if (!raw.includes(`"${AT}":"`)) return undefined
  const fields = JSON.parse(raw) as Fields
  const { [AT]: at, [SALT]: _salt, [TEXT]: _text, [BYTES]: _bytes, [HASH]: _hash, ...rest } = fields
  const metadata = unescaped(rest as Record<string, string>)
  const body = bodyIn(fields)
  const data = record.getData_asU8()
  const event: RecordedEvent = {
    stream: streamOf(record).slice(skip),
    id: record.getId()?.getString() ?? '',
    type,
    at: Number(at),
    data: JSON.parse(textOf(data)) as object,
    metadata,
    revision: Number(record.getStreamRevision()),
    position: positionOf(record),
    body: bodies ? body : undefined,
  }
  const about = metadata === undefined ? 0 : Buffer.byteLength(JSON.stringify(metadata))
  const content = body !== undefined && 'content' in body ? body.content : ''
  return { event, bytes: data.length + about + Buffer.byteLength(content) }
}

function unescaped(rest: Record<string, string>): Metadata | undefined {
  const keys = Object.keys(rest)
  if (keys.length === 0) return undefined
  if (!keys.some(isLikeOurs)) return rest
  return Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [key.startsWith(OWN) ? key.slice(OWN.length) : key, value]),
  )
}

export function streamOf(record: Recorded): string {
  return textOf(record.getStreamIdentifier()?.getStreamName_asU8() ?? new Uint8Array(0))
}

function positionOf(record: Recorded): string {
  return toPosition({ commit: record.getCommitPosition(), prepare: record.getPreparePosition() })
}

export function textOf({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString()
}
