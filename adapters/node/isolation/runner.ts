/** The program of a child process: runs the handler of a module, one run at a time, for as long as its parent wants. */
import { Worker } from 'node:worker_threads'
import { currentJobScope } from '../current-job.js'
import { ChildContext } from './context.js'
import type { FromChild, ToChild } from './messages.js'
import { fromSent, toSent } from './sent-errors.js'

type Handle = (payload: unknown, context: ChildContext) => unknown
type Run = Extract<ToChild, { kind: 'run' }>

let present: { readonly turn: number; readonly context: ChildContext } | undefined

/** Throws where there is something in the message that cannot be sent. */
function send(message: FromChild): void {
  if (process.connected) process.send?.(message)
}

/** A CommonJS module is its default export, and one that was compiled to it has its own default in there. */
async function load(module: string): Promise<Handle> {
  const loaded = await import(module)
  const candidates: unknown[] = [loaded.default, loaded.handle, loaded.default?.default, loaded.default?.handle]
  const handler = candidates.find((candidate) => typeof candidate === 'function')
  if (handler !== undefined) return handler as Handle
  throw new TypeError('its default export, or one named `handle`, has to be a function')
}

async function perform({ turn, module, payload, facts, maxBodyBytes }: Run): Promise<void> {
  const context = new ChildContext(facts, maxBodyBytes, (message) => send({ ...message, turn }))
  present = { turn, context }
  let handle: Handle
  try {
    handle = await load(module)
  } catch (error) {
    return send({ turn, kind: 'unusable', error: toSent(error) })
  }
  try {
    const result = context.result(await currentJobScope.run(context, () => handle(payload, context)))
    context.end()
    send({ turn, kind: 'done', result })
  } catch (error) {
    context.end()
    send({ turn, kind: 'threw', error: toSent(error) })
  }
}

function hear(message: ToChild): void {
  if (message.kind === 'run') return void perform(message)
  if (message.turn !== present?.turn) return
  const { context } = present
  if (message.kind === 'abort') context.abort(fromSent(message.reason))
  else if (message.kind === 'answer') context.take(message.question)?.resolve(message.value)
  else context.take(message.question)?.reject(fromSent(message.error))
}

// The parent says when it is over, and does so in its own shutdown; a signal to the whole group of processes is not for us.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => process.exit(0))
process.on('message', hear)
const [, , memory = ''] = process.argv
const watchdog = new Worker(new URL('./watchdog.js', import.meta.url), {
  execArgv: [],
  argv: [memory],
  resourceLimits: { maxOldGenerationSizeMb: 16 },
})
watchdog.unref()
