/** Appends to the fake: the batch stream that clients pipeline on, and one call for one append. */

import shared from '@eventstore/db-client/generated/shared_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import { type ServerDuplexStream, type ServerReadableStream, type sendUnaryData, status } from '@grpc/grpc-js'
import type { Faults } from './faults.js'
import type { Appended, FakeLog, Proposed } from './log.js'
import { NONE } from './log.js'
import {
  accessDenied,
  batchAnswer,
  expectedBy,
  identifierOf,
  nameOf,
  notLeader,
  proposedBy,
  refusal,
  statusOf,
} from './messages.js'

interface Pending {
  readonly stream: string
  readonly expected: number
  readonly events: Proposed[]
}

type BatchCall = ServerDuplexStream<streams.BatchAppendReq, streams.BatchAppendResp>

export function isDenied({ denied }: Faults, stream: string): boolean {
  return denied.some((prefix) => stream.startsWith(prefix))
}

/** One batch stream. A client may send an append in parts; it is carried out when the last one is there. */
export function serveBatch(log: FakeLog, faults: Faults, call: BatchCall): void {
  const pending = new Map<string, Pending>()
  const unindexed = new Set<string>()
  call.on('data', (request: streams.BatchAppendReq) => {
    const id = request.getCorrelationId()?.getString() ?? ''
    const options = request.getOptions()
    if (options !== undefined) {
      const expected = expectedBy(options, options.getStreamPosition())
      pending.set(id, { stream: nameOf(options.getStreamIdentifier()), expected, events: [] })
    }
    const append = pending.get(id)
    if (append === undefined) return
    append.events.push(...request.getProposedMessagesList().map(proposedBy))
    if (!request.getIsFinal()) return
    pending.delete(id)
    settle({ log, faults, call, unindexed }, id, append)
  })
  call.on('end', () => call.end())
}

/** A batch stream as it goes on. */
interface Going {
  readonly log: FakeLog
  readonly faults: Faults
  readonly call: BatchCall
  /** First ids of appends that are stored and not answered: the real server lets a repetition of them time out. */
  readonly unindexed: Set<string>
}

/** What the real server waits for a write. */
const WRITE_TIMEOUT_MS = 2000

function settle({ log, faults, call, unindexed }: Going, id: string, append: Pending): void {
  if (faults.leader !== undefined) {
    call.emit('error', notLeader(faults.leader.host, faults.leader.port))
    return
  }
  const first = append.events[0]?.id ?? ''
  const repeated = unindexed.has(first)
  const answer = (repeated ? failure('Timeout') : carryOut(log, faults, append))
    .setCorrelationId(new shared.UUID().setString(id))
    .setStreamIdentifier(identifierOf(append.stream))
  const say = (): void => {
    unindexed.delete(first)
    call.write(answer)
  }
  unindexed.add(first)
  const wait = repeated ? WRITE_TIMEOUT_MS : Math.max(faults.delay, answer.hasSuccess() ? faults.lag : 0)
  if (faults.halfClose) call.end()
  else if (wait > 0) setTimeout(say, wait)
  else if (!faults.mute) setImmediate(say)
}

function failure(type: string, words?: string): streams.BatchAppendResp {
  return new streams.BatchAppendResp().setError(statusOf(type, new shared.Empty(), words))
}

function carryOut(log: FakeLog, faults: Faults, { stream, expected, events }: Pending): streams.BatchAppendResp {
  if (faults.notReady) return failure('Empty', 'Server Is Not Ready')
  if (isDenied(faults, stream)) return failure('AccessDenied')
  const wrong = events.find(({ type }) => type === '')
  if (stream === '' || wrong !== undefined) return failure('BadRequest', 'BadRequest')
  return batchAnswer(log.append(stream, expected, events, faults.lag))
}

type AppendCall = ServerReadableStream<streams.AppendReq, streams.AppendResp>

/** One append, one call. */
export function serveAppend(
  log: FakeLog,
  faults: Faults,
  call: AppendCall,
  answer: sendUnaryData<streams.AppendResp>,
): void {
  let append: Pending | undefined
  call.on('data', (request: streams.AppendReq) => {
    const options = request.getOptions()
    const message = request.getProposedMessage()
    if (options !== undefined) {
      const expected = expectedBy(options, options.getRevision())
      append = { stream: nameOf(options.getStreamIdentifier()), expected, events: [] }
    } else if (message !== undefined) append?.events.push(proposedBy(message))
  })
  call.on('end', () => {
    if (append === undefined) return answer(refusal(status.INVALID_ARGUMENT, 'Options are missing'))
    if (faults.notReady) return answer(refusal(status.UNAVAILABLE, 'Server Is Not Ready'))
    if (faults.leader !== undefined) return answer(notLeader(faults.leader.host, faults.leader.port))
    if (isDenied(faults, append.stream)) return answer(accessDenied())
    const outcome = log.append(append.stream, append.expected, append.events)
    if (outcome.kind === 'ok' || outcome.kind === 'wrong') answer(null, appended(outcome))
    else
      answer(
        refusal(status.FAILED_PRECONDITION, 'Refused', {
          exception: exceptionOf(outcome),
          'stream-name': append.stream,
        }),
      )
  })
}

function exceptionOf({ kind }: Appended): string {
  return kind === 'deleted' ? 'stream-deleted' : 'maximum-append-size-exceeded'
}

function appended(outcome: Extract<Appended, { kind: 'ok' | 'wrong' }>): streams.AppendResp {
  const answer = new streams.AppendResp()
  if (outcome.kind === 'ok') {
    const position = new streams.AppendResp.Position()
      .setCommitPosition(String(outcome.position ?? 0n))
      .setPreparePosition(String(outcome.position ?? 0n))
    return answer.setSuccess(
      new streams.AppendResp.Success().setCurrentRevision(String(outcome.revision)).setPosition(position),
    )
  }
  const wrong = new streams.AppendResp.WrongExpectedVersion()
  if (outcome.current === NONE) wrong.setCurrentNoStream(new shared.Empty())
  else wrong.setCurrentRevision(String(outcome.current))
  return answer.setWrongExpectedVersion(wrong)
}
