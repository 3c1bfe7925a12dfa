/** A store whose user stops dead after a given append: what was on its way is never answered, and nothing comes after it. */
import { MemoryEventStore } from '../../adapters/memory/event-store.js'
import { MemoryViews } from '../../adapters/memory/views.js'
import type { AppendGroup, AppendOutcome, EventStore } from '../../runtime/ports/event-store.js'
import { StoreUnavailable } from '../../runtime/ports/event-store.js'
import type { Backend } from './support.js'
import { keptOpen, ledgerOn } from './support.js'

/** `dies`: whether this append, once it is stored, is the last. */
function mortal(store: EventStore, dies: (group: AppendGroup) => boolean): EventStore {
  let isDead = false
  const never = (): Promise<never> => new Promise(() => {})
  const append = async (groups: readonly AppendGroup[]): Promise<AppendOutcome[]> => {
    const outcomes: AppendOutcome[] = []
    for (const group of groups) {
      if (isDead) return never()
      const [outcome] = await store.append([group])
      outcomes.push(outcome as AppendOutcome)
      isDead ||= outcome?.kind === 'ok' && dies(group)
    }
    return isDead ? never() : outcomes
  }
  const remove = (streams: readonly string[]): Promise<void> => (isDead ? never() : store.remove(streams))
  return new Proxy(store, {
    get(target, key) {
      if (key === 'append') return append
      return key === 'remove' ? remove : Reflect.get(target, key, target)
    },
  })
}

/** After the `nth` event of this type. */
export function afterEvent(type: string, nth = 1): (group: AppendGroup) => boolean {
  let left = nth
  return ({ events }) => {
    left -= events.filter((event) => event.type === type).length
    return left <= 0
  }
}

/** What comes after the first event of this type is surely not stored, once; then all is well again. */
function awayAfter(store: EventStore, type: string): EventStore {
  const isIt = afterEvent(type)
  let state: 'here' | 'away' | 'back' = 'here'
  const append = async (groups: readonly AppendGroup[]): Promise<AppendOutcome[]> => {
    if (state === 'away') {
      state = 'back'
      return groups.map(() => ({ kind: 'rejected', error: new StoreUnavailable('Nobody listens there.') }))
    }
    if (state === 'here' && groups.some(isIt)) state = 'away'
    return store.append(groups)
  }
  return new Proxy(store, { get: (target, key) => (key === 'append' ? append : Reflect.get(target, key, target)) })
}

/** A log that takes one stream at a time, and cannot be reached once after the first event of this type. */
export function oneStreamAwayAfter(type: string): Backend {
  return onOneStream((store) => awayAfter(store, type))
}

/** A log that takes one stream at a time. The process that is opened first has a handle of it that dies. */
export function oneStreamMortal(dies: (group: AppendGroup) => boolean): Backend {
  return onOneStream((store) => mortal(store, dies))
}

/** `first`: the handle of the process that is opened first. */
function onOneStream(first: (store: EventStore) => EventStore): Backend {
  const store = keptOpen(new MemoryEventStore({ atomicGroups: false }))
  const views = keptOpen(new MemoryViews())
  let opened = 0
  return {
    name: 'memory, one stream at a time',
    async create() {
      return {
        open: (options, clock, ids) => ledgerOn(opened++ === 0 ? first(store) : store, views, clock, options, ids),
        store: async () => store,
        remove: async () => {},
      }
    },
  }
}
