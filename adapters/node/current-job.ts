import { AsyncLocalStorage } from 'node:async_hooks'
import type { Scope } from '../../runtime/ports/scope.js'
import type { JobContext } from '../../runtime/work/run/context.js'

const storage = new AsyncLocalStorage<JobContext>()
/** Handlers that have not settled. */
let running = 0

/**
 * While Node follows asynchronous contexts, every promise of the process costs 0.4 us more: 25 us a job. So it does only while
 * a handler runs, and stops when no more than microtasks has gone by without one.
 */
function leave(): void {
  running -= 1
  if (running === 0) process.nextTick(stopFollowing)
}

function stopFollowing(): void {
  if (running === 0) storage.disable()
}

export const currentJobScope: Scope<JobContext> = {
  run(context, call) {
    running += 1
    try {
      const result = storage.run(context, call)
      if (result instanceof Promise) result.then(leave, leave)
      else leave()
      return result
    } catch (error) {
      leave()
      throw error
    }
  },
  current: () => storage.getStore(),
}

/** For those who would rather have the speed. */
export const noScope: Scope<JobContext> = { run: (_, call) => call(), current: () => undefined }

/**
 * The context of the run in whose course this is called; undefined outside of any. Known for as long as the handler has not
 * settled: what it leaves behind to go on by itself may find undefined.
 */
export function currentJob(): JobContext | undefined {
  return storage.getStore()
}
