/** Calls on the server: each with a time limit, its errors as the port's. */

import { setTimeout as pause } from 'node:timers/promises'
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js'
import { StoreClosed } from '../../runtime/ports/event-store.js'
import type { Logger } from '../../runtime/ports/logger.js'
import { Outage } from '../shared/outage.js'
import { within } from '../shared/time-limit.js'
import { ANSWER_MS, type AppendCall, LedgerClient } from './client.js'
import { isOutage, isPassing, isUndiscovered, Silence, toStoreError } from './errors.js'
import { Inbox } from './inbox.js'
import type { Target } from './url.js'

/** The client has noticed by then that it has to connect anew, or elsewhere. */
const RETRY_MS = 50

/** Reads at once: a connection carries a hundred calls, and all stores of a process that go to one server share it. */
const READS = 16

/**
 * A server that looks through what others have written says nothing until it comes upon something of ours. Whether it is there at
 * all the client finds out by itself, within 15 s.
 */
const WALK_MS = 120_000

const isWalk = (request: ReadReq): boolean => request.getOptions()?.hasAll() === true

export class Connection {
  /** For messages: neither user nor password. */
  readonly place: string
  readonly #target: Target
  readonly #reads = new Set<Inbox>()
  readonly #waiting: (() => void)[] = []
  #reading = 0
  #client: LedgerClient
  /** From when on it is worth a word that the server is away. */
  #outage: Outage | undefined
  #closed = false

  constructor(target: Target) {
    this.#target = target
    this.place = target.place
    this.#client = new LedgerClient(target)
  }

  get closed(): boolean {
    return this.#closed
  }

  /** The log is open: from now on an outage is told to the logger. */
  opened(logger: Logger): void {
    this.#outage = new Outage({ logger, place: this.place })
  }

  failed(error: unknown): void {
    if (!this.#closed && isOutage(error)) this.#outage?.failed(error)
  }

  works(): void {
    this.#outage?.works()
  }

  /** Rejects with StoreClosed, StoreUnavailable or StoreUnusable. */
  async call<Result>(work: (client: LedgerClient) => Promise<Result>, patience: number = ANSWER_MS): Promise<Result> {
    this.checkOpen()
    try {
      return await this.#try(work, patience)
    } catch (error) {
      throw toStoreError(error, this.place)
    }
  }

  /** Errors are the client's. While the server is away each try waits a little. */
  async openAppends(): Promise<AppendCall> {
    const wait = this.#outage?.pause ?? 0
    if (wait > 0) await pause(wait)
    return this.#try(
      (client) => client.openAppends(),
      ANSWER_MS,
      (late) => late.cancel(),
    )
  }

  /** A call that lasts, with errors that are the client's. Its owner cancels it. */
  async openRead(request: ReadReq): Promise<Inbox> {
    const call = await this.#try(
      (client) => client.openRead(request),
      ANSWER_MS,
      (late) => late.cancel(),
    )
    return new Inbox(call)
  }

  /** Messages of a read that ends, as they come. Rejects as `call` does, also when the connection is closed meanwhile. */
  async *read(request: ReadReq): AsyncGenerator<Awaited<ReturnType<Inbox['take']>>, void, undefined> {
    // Walks through the log are few, and whoever walks may read streams on the way.
    const walk = isWalk(request)
    if (!walk) await this.#turn()
    let holds = !walk
    try {
      for await (const messages of this.#attempt(request)) {
        // Whoever is given something may take his time, and read other streams meanwhile.
        if (holds) this.#giveTurn()
        holds = false
        yield messages
        if (!walk) await this.#turn()
        holds = !walk
      }
    } catch (error) {
      throw this.#closed ? new StoreClosed() : toStoreError(error, this.place)
    } finally {
      if (holds) this.#giveTurn()
    }
  }

  checkOpen(): void {
    if (this.#closed) throw new StoreClosed()
  }

  /** Ends every read. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const inbox of this.#reads) inbox.cancel()
    for (const next of this.#waiting.splice(0)) next()
    await this.#hangUp(this.#client)
  }

  async #turn(): Promise<void> {
    this.checkOpen()
    this.#reading += 1
    if (this.#reading <= READS) return
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #giveTurn(): void {
    this.#reading -= 1
    this.#waiting.shift()?.()
  }

  /** What fails before anything has come is tried once more: the server may have been away, or the leader another. */
  async *#attempt(request: ReadReq): AsyncGenerator<Awaited<ReturnType<Inbox['take']>>, void, undefined> {
    for (let again = false; ; again = true) {
      this.checkOpen()
      let begun = false
      try {
        for await (const messages of this.#messages(request)) {
          if (!begun) this.works()
          begun = true
          yield messages
        }
        return
      } catch (error) {
        this.failed(error)
        if (again || begun || !isPassing(error) || error instanceof Silence) throw error
        await pause(RETRY_MS)
      }
    }
  }

  async *#messages(request: ReadReq): AsyncGenerator<Awaited<ReturnType<Inbox['take']>>, void, undefined> {
    const inbox = await this.openRead(request)
    this.#reads.add(inbox)
    try {
      for (;;) {
        this.checkOpen()
        const messages = await inbox.take(isWalk(request) ? WALK_MS : ANSWER_MS)
        this.checkOpen()
        if (messages.length === 0) return
        yield messages
      }
    } finally {
      this.#reads.delete(inbox)
      inbox.cancel()
    }
  }

  /** `late`: what to do with what comes when nobody waits for it any more. */
  async #try<Result>(
    work: (client: LedgerClient) => Promise<Result>,
    patience: number,
    late: (result: Result) => void = () => {},
  ): Promise<Result> {
    const client = this.#client
    const working = work(client)
    try {
      return await within(patience, working, () => {
        working.then(late, () => {})
        return new Silence()
      })
    } catch (error) {
      this.failed(error)
      // A client that has once failed to find its cluster may keep that for an answer for ever. It has no channel to close.
      if (isUndiscovered(error)) this.#renew(client)
      throw error
    }
  }

  #renew(client: LedgerClient): void {
    if (this.#client !== client || this.#closed) return
    this.#client = new LedgerClient(this.#target)
  }

  async #hangUp(client: LedgerClient): Promise<void> {
    await Promise.race([client.hangUp(), pause(1000)]).catch(() => {})
  }
}
