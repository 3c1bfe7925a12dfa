/**
 * Notices commits of other processes and handles while somebody listens: the file system tells of writes to the WAL file,
 * and a slow poll catches what it misses. `data_version` then says whether it really was somebody else. A writer tells of
 * itself before its fsync, and its commit can be seen only after it, of which nobody tells: so we look again for a while.
 */
import { type FSWatcher, watch } from 'node:fs'

/** How long a missed commit may go unnoticed, in ms. */
const POLL_MS = 1000
/** From a write to the second look at it, in ms; each one after that waits twice as long, up to the last. */
const AGAIN_MS = 2
const LAST_MS = 512

export interface WatchOptions {
  readonly walPath: string
  /** SQLite's `data_version` on our handle. */
  readonly version: () => unknown
  readonly onForeignCommit: () => void
  /** Default 1,000. */
  readonly pollMs?: number
}

export class CommitWatch {
  readonly #options: WatchOptions
  #version: unknown
  #watcher: FSWatcher | undefined
  #poll: NodeJS.Timeout | undefined
  #check: NodeJS.Immediate | undefined
  #again: NodeJS.Timeout | undefined

  constructor(options: WatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#version = this.#options.version()
    this.#poll = setInterval(() => this.#tick(), this.#options.pollMs ?? POLL_MS).unref()
    this.#watch()
  }

  stop(): void {
    clearInterval(this.#poll)
    clearImmediate(this.#check)
    clearTimeout(this.#again)
    this.#poll = this.#check = this.#again = undefined
    this.#unwatch()
  }

  #tick(): void {
    if (this.#watcher === undefined) this.#watch()
    this.#look()
  }

  /** The WAL file may be missing, taken away and made anew: then the next tick tries again. */
  #watch(): void {
    try {
      const watcher = watch(this.#options.walPath, { persistent: false })
      watcher.on('change', (kind) => {
        if (kind === 'rename') this.#unwatch()
        this.#soon()
      })
      watcher.on('error', () => this.#unwatch())
      this.#watcher = watcher
    } catch {
      this.#watcher = undefined
    }
  }

  #unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }

  /** Many writes, one look; and some more, whatever that one sees: it may be of the commit before. */
  #soon(): void {
    this.#check ??= setImmediate(() => {
      this.#check = undefined
      if (this.#poll === undefined) return
      clearTimeout(this.#again)
      this.#look()
      this.#lookAgain(AGAIN_MS)
    })
  }

  #lookAgain(ms: number): void {
    const look = (): void => {
      this.#look()
      if (ms < LAST_MS) this.#lookAgain(ms * 2)
    }
    this.#again = setTimeout(look, ms).unref()
  }

  #look(): void {
    let version: unknown
    try {
      version = this.#options.version()
    } catch {
      return // The disk has a bad moment; the next tick looks again.
    }
    if (version === this.#version) return
    this.#version = version
    this.#options.onForeignCommit()
  }
}
