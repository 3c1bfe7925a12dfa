/** Every verb of a trigger: the streams it looks at, and the decider that answers for them. */
import type { Added, Definition } from '../../domain/trigger/decide.js'
import * as decide from '../../domain/trigger/decide.js'
import type { TriggerRemoved } from '../../domain/trigger/events.js'
import { triggerStream } from '../../domain/trigger/events.js'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import type { StoreCapabilities } from '../ports/event-store.js'
import type { Command, Seen, Verdict } from '../write/command.js'

/** Of a trigger, as a decider is shown it. */
export const stateIn = (seen: (stream: string) => Seen, id: string): TriggerState | undefined =>
  seen(triggerStream(id)).state as TriggerState | undefined

/** `since`: what was read of its stream for this decision, where that was more than memory has. */
type Decider<State, A> = (state: State, now: number, since: Seen['events']) => Verdict<A>

function onTrigger<A>(id: string, decider: Decider<TriggerState | undefined, A>): Command<A> {
  const stream = triggerStream(id)
  return { streams: [stream], decide: (seen, now) => decider(stateIn(seen, id), now, seen(stream).events) }
}

/** On one that is there. */
export function onPresent<A>(id: string, decider: Decider<TriggerState, A>): Command<A> {
  return onTrigger(id, (state, now, since) => {
    const trigger = decide.present(id, state)
    return trigger instanceof Error ? trigger : decider(trigger, now, since)
  })
}

/** Takes the bodies along that nobody needs once this is recorded, where the store can erase. */
export function tidying<A>(id: string, command: Command<A>, { erase: canErase }: StoreCapabilities): Command<A> {
  if (!canErase) return command
  const stream = triggerStream(id)
  return {
    ...command,
    decide(seen, now, draw) {
      const state = stateIn(seen, id)
      const verdict = command.decide(seen, now, draw)
      if (state === undefined || verdict instanceof Error) return verdict
      const erase = decide.leftBehind(state, verdict.drafts).map((revision) => ({ stream, revision }))
      return erase.length === 0 ? verdict : { ...verdict, erase }
    },
  }
}

/** `payloadAt`: revision of the payload that was compared; undefined: there was none. Answers undefined when that has moved on. */
export function add(
  id: string,
  definition: Definition,
  compared: { readonly payloadAt: number | undefined; readonly same: boolean },
): Command<Added | undefined> {
  return onTrigger(id, (state, now) => {
    if (state?.payloadAt !== compared.payloadAt) return { drafts: [], answer: undefined }
    const { drafts, added } = decide.add(id, state, definition, compared.same, now)
    return { drafts, answer: added }
  })
}

/** `of`: what it was when the new definition was made from it. Answers false when it has become something else. */
export function update(id: string, definition: Definition, of: TriggerState): Command<boolean> {
  return onPresent(id, (state, now) =>
    state.version !== of.version
      ? { drafts: [], answer: false }
      : { drafts: decide.update(id, state, definition, now), answer: true },
  )
}

/** `payload`: what is at the `payloadAt` of `of`. Nothing where it has become something else, is gone or collects requests. */
export const restate = (id: string, payload: string | Uint8Array | undefined, of: TriggerState): Command<void> =>
  onTrigger(id, (state) => {
    const isSame = state?.payloadAt === of.payloadAt && state.status !== 'removed' && state.window === undefined
    return { drafts: isSame ? decide.restate(state, payload) : [], answer: undefined }
  })

export const pause = (id: string, reason?: string): Command<void> =>
  onPresent(id, (state) => ({ drafts: decide.pause(id, state, reason), answer: undefined }))

export const resume = (id: string): Command<void> =>
  onPresent(id, (state, now) => ({ drafts: decide.resume(id, state, now), answer: undefined }))

/** `of`: what it was when that was decided on. One that has become something else meanwhile is left alone. */
export const remove = (id: string, facts: TriggerRemoved, of?: TriggerState): Command<void> =>
  onPresent(id, ({ version }) => ({
    drafts: of === undefined || of.version === version ? decide.remove(id, facts) : [],
    answer: undefined,
  }))

/** Defined as it was, and not stopped. */
export const isStill = (present: TriggerState, { version }: TriggerState, byHand = false): boolean =>
  present.version === version && (byHand || present.status === 'active')
