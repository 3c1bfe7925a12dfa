/** Append calls: each group becomes one append to its stream, and what the server answers the group's outcome. */

import { setTimeout as pause } from 'node:timers/promises'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import type { BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { AppendGroup, AppendOutcome, ExpectedRevision } from '../../runtime/ports/event-store.js'
import { StoreRefused, StoreUnavailable } from '../../runtime/ports/event-store.js'
import { ANSWER_MS } from './client.js'
import { toStoreError } from './errors.js'
import type { Answer, Append, Pipeline } from './pipeline.js'
import { toPosition } from './positions.js'
import type { Reader } from './reader.js'
import { type Proposed, propose, sizeOf } from './records.js'

/** Bytes of one message: the server takes 16 MiB, and a larger one ends everything that is under way. */
const MESSAGE_BYTES = 1024 * 1024
/** Of a record, with room for the names in it. */
const RECORD_BYTES = 15 * 1024 * 1024

/** First and longest wait for an event that the server has told of, in ms. */
const FIRST_LOOK_MS = 2
const LAST_LOOK_MS = 250

interface Plan {
  readonly stream: string
  readonly expected: ExpectedRevision
  readonly first: string
  readonly append: Append | StoreRefused
}

export interface AppenderOptions {
  readonly pipeline: Pipeline
  readonly prefix: string
  readonly place: string
  readonly reader: Reader
}

export class Appender {
  readonly #options: AppenderOptions
  /** First ids of groups whose fate was left open: a later failure does not tell what became of an earlier try. */
  readonly #doubtful = new Set<string>()

  constructor(options: AppenderOptions) {
    this.#options = options
  }

  /** All are on their way, in their order, when it returns. Throws TypeError for an event that cannot be stored at all. */
  append(groups: readonly AppendGroup[]): Promise<AppendOutcome[]> {
    const plans = groups.map((group) => planOf(group, this.#options.prefix))
    return Promise.all(plans.map((plan) => this.#carryOut(plan)))
  }

  async #carryOut(plan: Plan): Promise<AppendOutcome> {
    if (plan.append instanceof StoreRefused) return { kind: 'rejected', error: plan.append }
    const outcome = await this.#outcomeOf(plan, await this.#options.pipeline.send(plan.append))
    if (outcome.kind === 'unknown') this.#doubtful.add(plan.first)
    if (outcome.kind === 'rejected' && this.#doubtful.has(plan.first)) return { ...outcome, kind: 'unknown' }
    if (outcome.kind === 'ok' || outcome.kind === 'conflict') this.#doubtful.delete(plan.first)
    return outcome
  }

  async #outcomeOf(plan: Plan, answer: Answer): Promise<AppendOutcome> {
    if (answer.kind !== 'answered') {
      const error = toStoreError(answer.error, this.#options.place)
      return { kind: answer.kind === 'unsent' ? 'rejected' : 'unknown', error }
    }
    const success = answer.answer.getSuccess()
    if (success === undefined) {
      const outcome = this.#failure(plan.stream, answer.answer)
      if (outcome.kind === 'conflict' && typeof outcome.actual === 'number')
        await this.#readable(outcome.stream, outcome.actual)
      return outcome
    }
    const position = success.getPosition()
    if (position !== undefined) {
      const [commit, prepare] = [position.getCommitPosition(), position.getPreparePosition()]
      return { kind: 'ok', position: toPosition({ commit, prepare }) }
    }
    return this.#look(plan.stream, Number(success.getCurrentRevision()))
  }

  /** A repetition of events that are hidden by now is answered without their position. */
  async #look(stream: string, revision: number): Promise<AppendOutcome> {
    try {
      return { kind: 'ok', position: await this.#options.reader.positionOf(stream, revision) }
    } catch (error) {
      return { kind: 'unknown', error: error as Error }
    }
  }

  /** The server tells of a rival's event before it can give it. Whoever hears of a conflict reads what stood in the way. */
  async #readable(stream: string, revision: number): Promise<void> {
    const end = performance.now() + ANSWER_MS
    for (let wait = FIRST_LOOK_MS; performance.now() < end; wait *= 2) {
      const ending = await this.#options.reader.ending(stream).catch(() => 'away' as const)
      if (ending === 'removed' || ending === 'away') return
      if (ending !== 'none' && ending.revision >= revision) return
      await pause(Math.min(wait, LAST_LOOK_MS))
    }
  }

  #failure(stream: string, answer: BatchAppendResp): AppendOutcome {
    const { place } = this.#options
    const details = answer.getError()?.getDetails()
    const kind = details?.getTypeName().replace('event_store.client.', '') ?? ''
    const words = answer.getError()?.getMessage() ?? ''
    switch (kind) {
      case 'WrongExpectedVersion': {
        const wrong = details?.unpack(shared.WrongExpectedVersion.deserializeBinary, details.getTypeName())
        const known = wrong?.hasCurrentStreamRevision() === true
        return { kind: 'conflict', stream, actual: known ? Number(wrong.getCurrentStreamRevision()) : 'none' }
      }
      case 'StreamDeleted':
        return { kind: 'conflict', stream, actual: 'removed' }
      case 'AccessDenied':
        return { kind: 'rejected', error: new StoreUnavailable(`${place}: the user may not write to '${stream}'.`) }
      case 'MaximumAppendSizeExceeded':
      case 'MaximumAppendEventSizeExceeded':
        return { kind: 'rejected', error: tooLarge(stream, 'what the server takes in one append', words) }
      case 'BadRequest':
        return {
          kind: 'rejected',
          error: new StoreRefused(`${place}: the server takes this append for wrong (${words}).`),
        }
      default:
        // Not ready, busy, no leader, timed out, stopping: it may be stored all the same.
        return {
          kind: 'unknown',
          error: new StoreUnavailable(`${place}: the server could not do it (${words || kind}).`),
        }
    }
  }
}

function planOf(group: AppendGroup, prefix: string): Plan {
  const [[stream, expected] = ['', 'none'] as const] = group.expect
  const events = group.events.map(propose)
  const append = objection(group) ?? heavy(stream, events) ?? appendOf(prefix + stream, expected, events)
  return { stream, expected, first: group.events[0]?.id ?? '', append }
}

function objection({ expect, erase, remove, effects }: AppendGroup): StoreRefused | undefined {
  if (effects !== undefined) {
    return new StoreRefused('EventStoreDB has no transaction for `effects` to write in: they need a SQL store.')
  }
  if (erase !== undefined) return new StoreRefused('EventStoreDB cannot erase bodies: its records never change.')
  if (remove !== undefined || expect.size !== 1) {
    return new StoreRefused(`Expected a group of one stream (EventStoreDB has no atomic groups), got ${expect.size}.`)
  }
  return undefined
}

function heavy(stream: string, events: readonly Proposed[]): StoreRefused | undefined {
  const largest = Math.max(...events.map((event) => sizeOf(event).whole))
  return largest > RECORD_BYTES ? tooLarge(stream, `${RECORD_BYTES} bytes an event`, `${largest} bytes`) : undefined
}

function tooLarge(stream: string, limit: string, received: string): StoreRefused {
  return new StoreRefused(`Expected an append to '${stream}' to be at most ${limit}, got more (${received}).`)
}

/** An append, in as many messages as it takes. */
export function appendOf(name: string, expected: ExpectedRevision, events: readonly Proposed[]): Append {
  const id = crypto.randomUUID()
  const options = new streams.BatchAppendReq.Options()
  options.setStreamIdentifier(new shared.StreamIdentifier().setStreamName(Buffer.from(name)))
  if (expected === 'none') options.setNoStream(new shared.Empty())
  else options.setStreamPosition(String(expected))
  const parts: streams.BatchAppendReq[] = []
  let bytes = 0
  let full = 0
  for (const event of events) {
    const size = sizeOf(event).whole
    if (parts.length === 0 || full + size > MESSAGE_BYTES) {
      parts.push(new streams.BatchAppendReq().setCorrelationId(new shared.UUID().setString(id)))
      full = 0
    }
    parts.at(-1)?.addProposedMessages(event)
    full += size
    bytes += size
  }
  parts[0]?.setOptions(options)
  parts.at(-1)?.setIsFinal(true)
  return { id, first: events[0]?.getId()?.getString() ?? '', parts, bytes }
}
