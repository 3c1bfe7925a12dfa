/**
 * Notices commits of other processes and handles while somebody listens: the file system tells of writes to the WAL file,
 * and a slow poll catches what it misses. `data_version` then says whether it really was somebody else.
 */
import { type FSWatcher, watch } from 'node:fs'

/** How long a missed commit may go unnoticed, in ms. */
const POLL_MS = 1000

export interface WatchOptions {
  readonly walPath: string
  /** SQLite's `data_version` on our handle. */
  readonly version: () => unknown
  readonly onForeignCommit: () => void
}

export class CommitWatch {
  readonly #options: WatchOptions
  #version: unknown
  #watcher: FSWatcher | undefined
  #poll: NodeJS.Timeout | undefined
  #check: NodeJS.Immediate | undefined

  constructor(options: WatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#version = this.#options.version()
    this.#poll = setInterval(() => this.#tick(), POLL_MS).unref()
    this.#watch()
  }

  stop(): void {
    clearInterval(this.#poll)
    clearImmediate(this.#check)
    this.#check = undefined
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

  /** Many writes, one look. */
  #soon(): void {
    this.#check ??= setImmediate(() => {
      this.#check = undefined
      if (this.#poll !== undefined) this.#look()
    })
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
