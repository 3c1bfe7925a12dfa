/** The journal's way of deciding, inside a transaction that belongs to the caller: no inbox, no retries after a rollback. */
import type { Metadata, RecordedEvent } from '../../domain/event.js'
import { StreamRemoved, TransactionConflict } from '../errors.js'
import type { AppendOutcome, TransactionalAppend } from '../ports/event-store.js'
import type { Command, StreamState } from './command.js'
import type { Steps } from './drive.js'
import type { Group, Judging } from './group.js'
import { howToRead, judge, newGroup } from './group.js'

/** Decisions taken again, should somebody write between our look and our append: only without an exclusive transaction. */
const TRIES = 3

/** Looks, decides and appends. Throws the refusal, TransactionConflict, or the store's error; nothing is appended then. */
export function* decideWithin<A>(
  transaction: TransactionalAppend,
  command: Command<A>,
  metadata: Metadata | undefined,
  judging: Judging,
): Steps<A> {
  const nobody = (): void => {}
  const submitted = { streams: command.streams, command, metadata, resolve: nobody, reject: nobody }
  let contended = ''
  for (let tries = 0; tries < TRIES; tries += 1) {
    const group = newGroup([submitted], new Set(command.streams))
    for (const stream of group.streams) {
      const isNew = tries === 0 && command.fresh?.has(stream)
      const how = howToRead(group, stream, judging.memory, undefined)
      const events = isNew ? [] : ((yield transaction.readStream(stream, how)) as RecordedEvent[])
      believe(group, stream, events, judging)
    }
    judge(group, judging)
    const verdict = group.verdicts[0] as Exclude<Group['verdicts'][number], undefined>
    // No append will show whether an id that was taken for new is: look before anything is told.
    if (tries === 0 && command.fresh !== undefined && group.append === undefined) continue
    if (verdict instanceof Error) throw verdict
    if (group.append === undefined) return verdict.answer as A
    const [outcome] = (yield transaction.append([group.append])) as [AppendOutcome]
    if (outcome.kind === 'ok') return verdict.answer as A
    if (outcome.kind !== 'conflict') throw outcome.error
    if (outcome.actual === 'removed') throw new StreamRemoved(outcome.stream)
    contended = outcome.stream
  }
  throw new TransactionConflict(contended)
}

function believe(group: Group, stream: string, events: readonly RecordedEvent[], { memory }: Judging): void {
  let state: StreamState | undefined
  for (const event of events) state = memory.evolve(state, event)
  group.beliefs.set(stream, { state, events, remembered: false })
}
