/** What is asked of the server: a stream, the log, or a subscription to it. */

import shared from '@eventstore/db-client/generated/shared_pb.js'
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { LogPosition } from './positions.js'

const { Options } = streams.ReadReq
const NO_LIMIT = '18446744073709551615'

/** Events the server looks through before it lets go of a filtered read, and checkpoints come every ten times as many. */
const WINDOW = 1000
const CHECKPOINT_EVERY = 10

/**
 * Streams of a ledger without a prefix: with no full stop before the first `-`, so that ledgers with a prefix are none of its
 * business, and none of the server's own.
 */
const UNPREFIXED = '[^$.-][^.-]*(-|$)'

/** Which streams of the log. */
export interface Scope {
  /** Of the ledger. */
  readonly prefix: string
  /** Beginnings of names, without the prefix; undefined: all. */
  readonly streams?: readonly string[] | undefined
  /** Also what the server keeps about these streams. */
  readonly system?: boolean
}

export interface StreamRead {
  readonly name: string
  readonly from?: number | undefined
  readonly limit?: number | undefined
  readonly backwards?: boolean | undefined
}

export function streamRead({ name, from, limit, backwards = false }: StreamRead): ReadReq {
  const stream = new Options.StreamOptions()
  stream.setStreamIdentifier(new shared.StreamIdentifier().setStreamName(Buffer.from(name)))
  if (from !== undefined) stream.setRevision(String(from))
  else if (backwards) stream.setEnd(new shared.Empty())
  else stream.setStart(new shared.Empty())
  return request(new Options().setStream(stream).setNoFilter(new shared.Empty()), backwards, limit)
}

/** From the event at `from`, which comes too; backwards from the end. */
export function logRead(scope: Scope, from: LogPosition | undefined, backwards = false): ReadReq {
  return request(new Options().setAll(place(from, backwards)).setFilter(filterOf(scope)), backwards)
}

/** After the event at `after`. */
export function subscription(scope: Scope, after: LogPosition): ReadReq {
  const options = new Options().setAll(place(after, false)).setFilter(filterOf(scope))
  options.setSubscription(new Options.SubscriptionOptions())
  return finished(options)
}

function place(from: LogPosition | undefined, backwards: boolean): ReadReq.Options.AllOptions {
  const all = new Options.AllOptions()
  if (from !== undefined) {
    return all.setPosition(new Options.Position().setCommitPosition(from.commit).setPreparePosition(from.prepare))
  }
  return backwards ? all.setEnd(new shared.Empty()) : all.setStart(new shared.Empty())
}

function filterOf({ prefix, streams: beginnings, system = false }: Scope): ReadReq.Options.FilterOptions {
  const expression = new Options.FilterOptions.Expression()
  const wanted = beginnings?.includes('') ? undefined : beginnings
  if (prefix === '' && wanted === undefined) expression.setRegex(system ? `^(\\$\\$)?${UNPREFIXED}` : `^${UNPREFIXED}`)
  else {
    const names = (wanted ?? ['']).map((beginning) => prefix + beginning)
    expression.setPrefixList(system ? [...names, ...names.map((name) => `$$${name}`)] : names)
  }
  const filter = new Options.FilterOptions()
  return filter.setStreamIdentifier(expression).setMax(WINDOW).setCheckpointintervalmultiplier(CHECKPOINT_EVERY)
}

function request(options: ReadReq.Options, backwards: boolean, limit?: number): ReadReq {
  const { FORWARDS, BACKWARDS } = Options.ReadDirection
  options.setReadDirection(backwards ? BACKWARDS : FORWARDS)
  options.setCount(limit === undefined ? NO_LIMIT : String(limit))
  return finished(options)
}

function finished(options: ReadReq.Options): ReadReq {
  options.setUuidOption(new Options.UUIDOption().setString(new shared.Empty()))
  return new streams.ReadReq().setOptions(options)
}
