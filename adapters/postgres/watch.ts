/**
 * Hears of commits while somebody listens. NOTIFY is a hint that a pooler may lose; a poll of the last position is what can be
 * relied on. It is slow while notifications come, and fast while they do not: before LISTEN, and where it found what nobody told.
 * A listening connection that is lost is made anew, after a wait that doubles.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type Connections, run } from './connections.js'
import type { Client } from './driver.js'
import { channelOf, quoted } from './schema.js'

/** How long a commit that nobody has told of may go unnoticed, in ms: the first, and those after it. */
const POLL_MS = 1000
const DEAF_POLL_MS = 100
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
  #deaf = false
  /** Up to here commits were told of by NOTIFY, or are older than LISTEN. */
  #told = 0
  /** Up to here there were commits when the poll last looked. */
  #found = 0

  constructor(options: WatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = new AbortController()
    this.#pollSoon()
    void this.#options.connections.track(this.#listenOn(this.#running.signal))
  }

  stop(): void {
    clearTimeout(this.#poll)
    this.#running?.abort()
    this.#running = undefined
  }

  #pollSoon(): void {
    const round = async (signal: AbortSignal | undefined): Promise<void> => {
      const before = this.#found
      await this.#look()
      // It has had all the time since the last look to be told of.
      if (before > this.#told) this.#hears(false)
      if (signal?.aborted === false) this.#pollSoon()
    }
    const signal = this.#running?.signal
    this.#poll = setTimeout(() => void round(signal), this.#deaf ? DEAF_POLL_MS : POLL_MS).unref()
  }

  async #look(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    try {
      this.#found = await this.#options.last()
      this.#options.onHeard(this.#found)
    } catch {
      this.#options.onDoubt()
    } finally {
      this.#asking = false
    }
  }

  #hear(position: number): void {
    this.#told = Math.max(this.#told, position)
    this.#hears(true)
    this.#options.onHeard(position)
  }

  #hears(does: boolean): void {
    if (this.#deaf === !does) return
    this.#deaf = !does
    const { place, logger } = this.#options.connections
    const what = does ? 'arrive again' : `do not arrive, as through a pooler: the log is asked every ${DEAF_POLL_MS} ms`
    logger.info({ store: place }, `notifications of commits ${what}`)
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
    const { connections, schema } = this.#options
    let client: Client | undefined
    const hear = (message: { readonly payload?: string | undefined }): void => this.#hear(Number(message.payload ?? 0))
    try {
      client = await connections.borrow()
      if (signal.aborted) return true
      client.on('notification', hear)
      await run(client, `LISTEN ${quoted(channelOf(schema))}`)
      // What was committed before nobody tells any more.
      await this.#look()
      this.#told = Math.max(this.#told, this.#found)
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
