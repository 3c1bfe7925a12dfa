import { InitFailed } from '../../errors.js'
import type { Logger } from '../../ports/logger.js'
import type { Enqueueing } from '../../write/contract.js'
import type { RunnableDefinition } from './definition.js'
import type { InitTools } from './hooks.js'

/** The hooks `init`: each is called once for all workers of this ledger, unless it throws. */
export class Inits {
  readonly #log: Logger
  readonly #codeVersion: string | undefined
  readonly #called = new Map<string, Promise<void>>()
  /** Of the calls that have not come through. */
  readonly #pending = new Set<AbortController>()

  constructor(log: Logger, codeVersion: string | undefined) {
    this.#log = log
    this.#codeVersion = codeVersion
  }

  /** One type after the other; resolves once all are ready. Throws InitFailed, or why it was stopped. */
  async ready(definitions: Iterable<RunnableDefinition>, ledger: Enqueueing): Promise<void> {
    for (const { type, init } of definitions) {
      if (init === undefined) continue
      const log = this.#log.child({ jobType: type })
      const call = this.#called.get(type) ?? this.#call(init, { type, log, ledger, codeVersion: this.#codeVersion })
      this.#called.set(type, call)
      try {
        await call
      } catch (error) {
        this.#called.delete(type)
        throw error
      }
    }
  }

  async #call(init: NonNullable<RunnableDefinition['init']>, tools: Omit<InitTools, 'signal'>): Promise<void> {
    const controller = new AbortController()
    const { signal } = controller
    this.#pending.add(controller)
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    stopped.catch(() => {})
    try {
      await Promise.race([init({ ...tools, signal }), stopped])
    } catch (error) {
      throw signal.aborted ? signal.reason : new InitFailed(tools.type, error)
    } finally {
      this.#pending.delete(controller)
    }
  }

  /** Nobody waits for the one that goes on, if any; it may be asked again. Those that have come through do not notice. */
  stop(reason: Error): void {
    for (const controller of this.#pending) controller.abort(reason)
  }
}
