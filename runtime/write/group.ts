/** Commands with one fate, and the judgement that turns them into one append. */
import type { Draft, Metadata, NewEvent } from '../../domain/event.js'
import { versionOf } from '../../domain/upcast.js'
import { StreamRemoved } from '../errors.js'
import type { Clock } from '../ports/clock.js'
import type { AppendGroup, EventRef, ExpectedRevision, ReadStreamOptions } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { Command, Memory, Seen, StreamState, Verdict } from './command.js'

/** A command that waits, and the one who asked. */
export interface Submitted {
  readonly streams: readonly string[]
  readonly command: Command<unknown>
  readonly metadata: Metadata | undefined
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/** What the group's decision rests on. */
export interface Belief extends Seen {
  /** Out of memory or hope, not out of the store. */
  readonly remembered: boolean
}

/** Commands with one fate, on their way through a flush, and through as many more as it takes. */
export interface Group {
  readonly commands: readonly Submitted[]
  readonly streams: ReadonlySet<string>
  readonly beliefs: Map<string, Belief>
  verdicts: Verdict<unknown>[]
  append: AppendGroup | undefined
  resends: number
}

export function newGroup(commands: readonly Submitted[], streams: ReadonlySet<string>): Group {
  return { commands, streams, beliefs: new Map(), verdicts: [], append: undefined, resends: 0 }
}

/** No more than the decision needs: a megabyte a job is not read for its facts, nor years of a stream for its end. */
export function howToRead(
  { commands }: Group,
  stream: string,
  memory: Memory,
  known: StreamState | undefined,
): ReadStreamOptions {
  const bodies = commands.some(({ command }) => command.bodies)
  if (known !== undefined) return { bodies, from: known.revision + 1 }
  return memory.endSaysAll(stream) ? { bodies, backwards: true, limit: 1 } : { bodies }
}

export interface Judging {
  readonly memory: Memory
  readonly clock: Clock
  readonly ids: Ids
}

/**
 * Every command decides on the state that those before it in the group leave. Answers with the streams to look up before
 * refusals may be told; then nothing is decided yet. Else the group has its verdicts and, when there are facts to record, the
 * append that records them.
 */
export function judge(group: Group, { memory, clock, ids }: Judging): ReadonlySet<string> {
  const now = clock.now()
  const draw = (): number => ids.draw()
  const overlay = group.commands.length > 1 ? new Map<string, Seen>() : undefined
  const seen = (stream: string): Seen => overlay?.get(stream) ?? (group.beliefs.get(stream) as Belief)
  const events: NewEvent[] = []
  const gone = new Set<string>()
  const doubtful = new Set<string>()
  group.verdicts = []
  for (const { command, metadata } of group.commands) {
    const verdict = unlessGone(command.decide(seen, now, draw), gone)
    if (verdict instanceof Error || verdict.drafts.length === 0) {
      doubt(group, command, doubtful)
    } else {
      for (const draft of verdict.drafts) {
        const event = stamp(draft, metadata, now, ids)
        events.push(event)
        if (overlay === undefined) continue
        const { state, events: read } = seen(event.stream)
        overlay.set(event.stream, { state: memory.evolve(state, event), events: read && [...read, event] })
      }
    }
    group.verdicts.push(verdict)
  }
  if (doubtful.size === 0 && events.length > 0)
    group.append = { expect: expectations(group), events, ...alongside(group.verdicts) }
  return doubtful
}

/** A refusal that rests on memory or hope is looked up before it is told. */
function doubt({ beliefs }: Group, { streams }: Command<unknown>, doubtful: Set<string>): void {
  for (const stream of streams) if (beliefs.get(stream)?.remembered) doubtful.add(stream)
}

/** What a command before takes out of the log cannot be written to any more, let alone taken out again. */
function unlessGone(verdict: Verdict<unknown>, gone: Set<string>): Verdict<unknown> {
  if (verdict instanceof Error) return verdict
  const { drafts, remove = [] } = verdict
  const lost = gone.size > 0 && [...drafts.map(({ stream }) => stream), ...remove].find((stream) => gone.has(stream))
  if (lost) return new StreamRemoved(lost)
  for (const stream of remove) gone.add(stream)
  return verdict
}

/** Once per decision; a resend keeps id, time and salt. */
export function stamp(draft: Draft, common: Metadata | undefined, at: number, ids: Ids): NewEvent {
  const { stream, type, data, body } = draft
  const content = body === undefined ? undefined : { salt: ids.salt(), content: body }
  const version = versionOf(type)
  const metadata = version === 1 ? common : { ...common, schemaVersion: `${version}` }
  return { stream, id: ids.uuid(), type, at, data, metadata, body: content }
}

/** What the store is to do in the same commit. */
function alongside(
  verdicts: readonly Verdict<unknown>[],
): Pick<AppendGroup, 'erase' | 'remove' | 'effects'> | undefined {
  let erase: EventRef[] | undefined
  let remove: string[] | undefined
  // At most one: a command with effects goes alone.
  let effects: AppendGroup['effects']
  for (const verdict of verdicts) {
    if (verdict instanceof Error) continue
    if (verdict.erase !== undefined) erase = [...(erase ?? []), ...verdict.erase]
    if (verdict.remove !== undefined) remove = [...(remove ?? []), ...verdict.remove]
    effects ??= verdict.effects
  }
  if (erase === undefined && remove === undefined && effects === undefined) return undefined
  return { ...(erase && { erase }), ...(remove && { remove }), ...(effects && { effects }) }
}

function expectations(group: Group): Map<string, ExpectedRevision> {
  const expect = new Map<string, ExpectedRevision>()
  for (const [stream, { state }] of group.beliefs) expect.set(stream, state?.revision ?? 'none')
  return expect
}
