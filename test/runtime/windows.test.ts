import { expect, test } from 'vitest'
import type { TriggerState } from '../../domain/trigger/evolve.js'
import type { WindowsOptions } from '../../runtime/trigger/windows.js'
import { Windows } from '../../runtime/trigger/windows.js'

test('a window whose time has not come after all, for the clock was set back, is not tried on and on', async () => {
  const window = { revision: 1, until: 10, combine: 'drop', count: 1, bytes: 0, by: 'webhook' }
  const state = { id: 't', revision: 1, status: 'active', window } as unknown as TriggerState
  let tries = 0
  const fire = async (): Promise<{ kind: 'stale' }> => {
    tries += 1
    if (tries > 10) throw new Error('it is tried on and on')
    return { kind: 'stale' }
  }
  const options = {
    store: { head: async () => '' },
    feed: { reached: () => undefined, triggers: new Map([['t', state]]) },
    maker: { collected: async () => ({}) },
    fire,
  }
  await new Windows(options as unknown as WindowsOptions).close('t')
  expect(tries).toBe(1)
})
