/** What the fake says and hears, from and to the messages of the protocol. */

import shared from '@eventstore/db-client/generated/shared_pb.js'
import rpc from '@eventstore/db-client/generated/status_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import { Metadata, status } from '@grpc/grpc-js'
import anyPb from 'google-protobuf/google/protobuf/any_pb.js'
import type { Appended, Proposed, Stored } from './log.js'
import { ANY, EXISTS, NONE } from './log.js'

/** An error as grpc-js sends it. */
export interface Refusal {
  readonly code: number
  readonly details: string
  readonly metadata?: Metadata
}

export function refusal(code: number, details: string, extra: Readonly<Record<string, string>> = {}): Refusal {
  const metadata = new Metadata()
  for (const [key, value] of Object.entries(extra)) metadata.set(key, value)
  return { code, details, metadata }
}

export const accessDenied = (): Refusal =>
  refusal(status.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' })

export const notLeader = (host: string, port: number): Refusal =>
  refusal(status.NOT_FOUND, 'Leader info available', {
    exception: 'not-leader',
    'leader-endpoint-host': host,
    'leader-endpoint-port': String(port),
  })

export function nameOf(identifier: shared.StreamIdentifier | undefined): string {
  return Buffer.from(identifier?.getStreamName_asU8() ?? []).toString()
}

export function identifierOf(name: string): shared.StreamIdentifier {
  const identifier = new shared.StreamIdentifier()
  identifier.setStreamName(Buffer.from(name))
  return identifier
}

/** The several ways of the protocol to say what is expected. */
interface Expectation {
  hasNoStream(): boolean
  hasAny(): boolean
  hasStreamExists(): boolean
}

export function expectedBy(options: Expectation, revision: string): number {
  if (options.hasNoStream()) return NONE
  if (options.hasAny()) return ANY
  return options.hasStreamExists() ? EXISTS : Number(revision)
}

export function proposedBy(
  message: streams.BatchAppendReq.ProposedMessage | streams.AppendReq.ProposedMessage,
): Proposed {
  const about = message.getMetadataMap()
  return {
    id: message.getId()?.getString() ?? '',
    type: about.get('type') ?? '',
    contentType: about.get('content-type') ?? '',
    data: message.getData_asU8(),
    metadata: message.getCustomMetadata_asU8(),
  }
}

/** The answer to one append of a batch stream, but for whose it is. */
export function batchAnswer(outcome: Appended): streams.BatchAppendResp {
  const answer = new streams.BatchAppendResp()
  if (outcome.kind !== 'ok') return answer.setError(problem(outcome))
  const success = new streams.BatchAppendResp.Success().setCurrentRevision(String(outcome.revision))
  if (outcome.position === undefined) return answer.setSuccess(success.setNoPosition(new shared.Empty()))
  const position = new shared.AllStreamPosition()
    .setCommitPosition(String(outcome.position))
    .setPreparePosition(String(outcome.position))
  return answer.setSuccess(success.setPosition(position))
}

function problem(outcome: Exclude<Appended, { kind: 'ok' }>): rpc.Status {
  if (outcome.kind === 'deleted') return statusOf('StreamDeleted', new shared.StreamDeleted())
  if (outcome.kind === 'too large')
    return statusOf('MaximumAppendSizeExceeded', new shared.MaximumAppendSizeExceeded().setMaxappendsize(outcome.limit))
  const wrong = new shared.WrongExpectedVersion()
  if (outcome.current === NONE) wrong.setCurrentNoStream(new shared.Empty())
  else wrong.setCurrentStreamRevision(String(outcome.current))
  return statusOf('WrongExpectedVersion', wrong)
}

/** An error of one append: a type of the protocol, or 'Empty' with words that say it. */
export function statusOf(type: string, message: { serializeBinary(): Uint8Array }, words: string = type): rpc.Status {
  const details = new anyPb.Any()
  details.pack(message.serializeBinary(), type === 'Empty' ? 'google.protobuf.Empty' : `event_store.client.${type}`)
  return new rpc.Status().setMessage(words).setDetails(details)
}

export function eventMessage(stored: Stored): streams.ReadResp {
  const record = new streams.ReadResp.ReadEvent.RecordedEvent()
    .setId(new shared.UUID().setString(stored.id))
    .setStreamIdentifier(identifierOf(stored.stream))
    .setStreamRevision(String(stored.revision))
    .setCommitPosition(String(stored.position))
    .setPreparePosition(String(stored.position))
  record.setData(stored.data)
  record.setCustomMetadata(stored.metadata)
  record
    .getMetadataMap()
    .set('type', stored.type)
    .set('content-type', stored.contentType)
    .set('created', String(stored.created * 10_000))
  const event = new streams.ReadResp.ReadEvent().setEvent(record).setCommitPosition(String(stored.position))
  return new streams.ReadResp().setEvent(event)
}
