/**
 * Hears of commits while somebody listens. NOTIFY is a hint that a pooler may lose; a slow poll of the last position is what
 * can be relied on. A listening connection that is lost is made anew, after a wait that doubles.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type Connections, run } from './connections.js'
import type { Client } from './driver.js'
import { channelOf, quoted } from './schema.js'

/** How long a commit that nobody has told of may go unnoticed, in ms. */
const POLL_MS = 1000
/** First and longest wait before listening is tried again, in ms. */
const RETRY_MS = 100
const LAST_RETRY_MS = 10_000

export interface WatchOptions {
  readonly connections: Connections
  readonly schema: string
  readonly last: () => Promise<number>
  readonly onHeard: (position: number) => void
  /** The poll has failed: who reads will learn why. */
  readonly onDoubt: () => void
}

export class CommitWatch {
  readonly #options: WatchOptions
  #running: AbortController | undefined
  #poll: NodeJS.Timeout | undefined
  #asking = false

  constructor(options: WatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = new AbortController()
    this.#poll = setInterval(() => void this.#look(), POLL_MS).unref()
    void this.#options.connections.track(this.#listenOn(this.#running.signal))
  }

  stop(): void {
    clearInterval(this.#poll)
    this.#running?.abort()
    this.#running = undefined
  }

  async #look(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      this.#options.onHeard(await this.#options.last())
    } catch {
      this.#options.onDoubt()
    } finally {
      this.#asking = false
    }
  }

  async #listenOn(signal: AbortSignal): Promise<void> {
    let wait = RETRY_MS
    while (!signal.aborted) {
      const heard = await this.#listen(signal)
      wait = heard ? RETRY_MS : Math.min(wait * 2, LAST_RETRY_MS)
      await pause(wait, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  /** Until the connection is lost, or listening is over. Whether it came about at all. */
  async #listen(signal: AbortSignal): Promise<boolean> {
    const { connections, schema, onHeard } = this.#options
    let client: Client | undefined
    const hear = (message: { readonly payload?: string | undefined }): void => onHeard(Number(message.payload ?? 0))
    try {
      client = await connections.borrow()
      if (signal.aborted) return true
      client.on('notification', hear)
      await run(client, `LISTEN ${quoted(channelOf(schema))}`)
      // What was committed before nobody tells any more.
      await this.#look()
      await lost(client, signal)
      return true
    } catch {
      return false
    } finally {
      client?.release(true)
    }
  }
}

function lost(client: Client, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => resolve()
    client.on('error', done)
    client.on('end', done)
    signal.addEventListener('abort', done, { once: true })
    if (signal.aborted) done()
  })
}
