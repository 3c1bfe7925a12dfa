/** One place in the fleet: a process that works, what is done to it, and the next process after it. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Deed } from './deeds.js'
import type { Said } from './worker.js'

/** The built program, also for whoever runs the sources. */
const BUILT = import.meta.url.endsWith('.ts') ? '../../../dist/test/chaos/fleet/worker.js' : './worker.js'
const PROGRAM = fileURLToPath(new URL(BUILT, import.meta.url))
/** A process that takes longer to shut down in order has not. Far longer than its own deadlines. */
const PATIENCE_MS = 60_000

export interface SlotOptions {
  readonly args: readonly string[]
  readonly deeds: Iterator<Deed, never>
  /** Something has happened to the process, for the counts. */
  onDeed(what: 'killed' | 'frozen' | 'stopped' | 'started'): void
  onSaid(said: Extract<Said, { level: string }>): void
}

export class Slot {
  readonly #options: SlotOptions
  #child: ChildProcess | undefined

  constructor(options: SlotOptions) {
    this.#options = options
  }

  /** Lives through one deed after the other until `signal` aborts, then shuts down in order. Rejects if the process fails. */
  async run(signal: AbortSignal): Promise<void> {
    const { deeds } = this.#options
    await this.#start()
    while (!signal.aborted) {
      const deed = deeds.next().value
      if (!(await this.#pause(deed.afterMs, signal))) break
      await this.#do(deed, signal)
    }
    await this.#stop()
  }

  /** Whatever state it is in. */
  kill(): void {
    this.#child?.kill('SIGKILL')
  }

  async #do({ what, forMs }: Deed, signal: AbortSignal): Promise<void> {
    const { onDeed } = this.#options
    if (what === 'freeze') {
      onDeed('frozen')
      this.#child?.kill('SIGSTOP')
      await this.#pause(forMs, signal)
      this.#child?.kill('SIGCONT')
      return
    }
    if (what === 'kill') await this.#killAndWait()
    else await this.#stop()
    onDeed(what === 'kill' ? 'killed' : 'stopped')
    await sleep(forMs, undefined, { signal }).catch(() => {})
    await this.#start()
  }

  /** False when it was cut short by the end of everything. Rejects when the process ends by itself. */
  async #pause(ms: number, signal: AbortSignal): Promise<boolean> {
    const over = new AbortController()
    const gone = once(this.#child as ChildProcess, 'exit', { signal: over.signal })
    try {
      const waited = sleep(ms, undefined, { signal }).then(() => undefined)
      const exit = await Promise.race([waited, gone as Promise<unknown[]>])
      if (exit === undefined) return true
      throw new Error(`a process ended by itself: ${exit[0] ?? exit[1]}`)
    } catch (error) {
      if (signal.aborted) return false
      throw error
    } finally {
      over.abort()
      gone.catch(() => {})
    }
  }

  async #start(): Promise<void> {
    const child = fork(PROGRAM, this.#options.args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child = child
    const ready = new Promise<void>((resolve, reject) => {
      child.on('message', (said: Said) => ('ready' in said ? resolve() : this.#options.onSaid(said)))
      child.once('exit', (code, signal) => reject(new Error(`a process ended before it was ready: ${code ?? signal}`)))
    })
    // A message to a process that has just been killed.
    child.on('error', () => {})
    await ready
    this.#options.onDeed('started')
  }

  async #killAndWait(): Promise<void> {
    const child = this.#child as ChildProcess
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  async #stop(): Promise<void> {
    const child = this.#child as ChildProcess
    const exited = once(child, 'exit') as Promise<[number | null]>
    const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
    child.send('stop')
    const [code] = await exited
    clearTimeout(patience)
    if (code !== 0) throw new Error(`a process that was to shut down in order ended with ${code ?? 'a signal'}`)
  }
}
