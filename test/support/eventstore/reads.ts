/** Reads of the fake: a stream, and the whole log. */
import { once } from 'node:events'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import { type ServerWritableStream, status } from '@grpc/grpc-js'
import { isDenied } from './appends.js'
import type { Faults } from './faults.js'
import type { FakeLog, Stored } from './log.js'
import { accessDenied, eventMessage, identifierOf, nameOf, notLeader, type Refusal, refusal } from './messages.js'

export type ReadCall = ServerWritableStream<streams.ReadReq, streams.ReadResp>
export type ReadOptions = streams.ReadReq.Options

/** `subscribe` serves a subscription, which a read may also be. */
export function serveRead(
  log: FakeLog,
  faults: Faults,
  call: ReadCall,
  subscribe: (options: ReadOptions) => Promise<void>,
): void {
  const options = call.request.getOptions()
  if (options === undefined) return fail(call, refusal(status.INVALID_ARGUMENT, 'Options are missing'))
  const name = options.hasAll() ? '$all' : nameOf(options.getStream()?.getStreamIdentifier())
  if (faults.notReady) return fail(call, refusal(status.UNAVAILABLE, 'Server Is Not Ready'))
  if (faults.leader !== undefined) return fail(call, notLeader(faults.leader.host, faults.leader.port))
  if (isDenied(faults, name)) return fail(call, accessDenied())
  const serve = options.hasSubscription() ? subscribe(options) : answerRead(log, options, name, call)
  // What the client gave up cannot be written to.
  serve.catch(() => {})
}

function fail(call: ReadCall, error: Refusal): void {
  call.emit('error', error)
}

export async function say(call: ReadCall, message: streams.ReadResp): Promise<void> {
  if (!call.write(message) && !call.cancelled) await once(call, 'drain')
}

async function answerRead(log: FakeLog, options: ReadOptions, name: string, call: ReadCall): Promise<void> {
  const found = options.hasAll() ? log.all : log.read(name)
  if (found === 'deleted') {
    return fail(
      call,
      refusal(status.FAILED_PRECONDITION, 'Deleted', { exception: 'stream-deleted', 'stream-name': name }),
    )
  }
  if (found === undefined) {
    const missing = new streams.ReadResp.StreamNotFound().setStreamIdentifier(identifierOf(name))
    await say(call, new streams.ReadResp().setStreamNotFound(missing))
    return void call.end()
  }
  const backwards = options.getReadDirection() === streams.ReadReq.Options.ReadDirection.BACKWARDS
  const matches = matcherOf(options)
  const limit = Number(options.getCount())
  let count = 0
  let index = options.hasAll() ? startInLog(log, options, backwards) : startInStream(found, options, backwards)
  for (; count < limit && index >= 0 && index < found.length && !call.cancelled; index += backwards ? -1 : 1) {
    const event = found[index]
    if (event === undefined || !matches(event)) continue
    await say(call, eventMessage(event))
    count += 1
  }
  call.end()
}

/** Reads begin at the event that is named. */
function startInLog(log: FakeLog, options: ReadOptions, backwards: boolean): number {
  const all = options.getAll()
  if (all?.hasStart()) return 0
  if (all?.hasEnd()) return log.all.length - (backwards ? 1 : 0)
  const index = log.indexAfter(BigInt(all?.getPosition()?.getCommitPosition() ?? 0) - 1n)
  return backwards ? index - 1 : index
}

function startInStream(events: readonly Stored[], options: ReadOptions, backwards: boolean): number {
  const stream = options.getStream()
  if (stream?.hasStart()) return 0
  if (stream?.hasEnd()) return events.length - 1
  const wanted = Number(stream?.getRevision() ?? 0) - Number(events[0]?.revision ?? 0)
  return backwards ? Math.min(wanted, events.length - 1) : Math.max(wanted, 0)
}

export function matcherOf(options: ReadOptions): (event: Stored) => boolean {
  const filter = options.getFilter()
  if (filter === undefined) return () => true
  const byType = filter.getEventType()
  const expression = byType ?? filter.getStreamIdentifier()
  const prefixes = expression?.getPrefixList() ?? []
  const regex = prefixes.length === 0 ? new RegExp(expression?.getRegex() ?? '') : undefined
  return ({ type, stream }) => {
    const text = byType === undefined ? stream : type
    return regex === undefined ? prefixes.some((prefix) => text.startsWith(prefix)) : regex.test(text)
  }
}
