/** A subscription to the fake's log. */
import streams from '@eventstore/db-client/generated/streams_pb.js'
import type { FakeLog, Stored } from './log.js'
import { eventMessage } from './messages.js'
import { matcherOf, type ReadCall, type ReadOptions, say } from './reads.js'

/** Events a subscriber may be behind before the server goes back to reading pages for it, and says once more when it is done. */
const LIVE_BUFFER = 32
const PAGE = 1000

/** Catches up, says so, and follows; a subscriber that falls behind by more than the buffer catches up again, and hears it again. */
export class FakeSubscription {
  readonly #log: FakeLog
  readonly #call: ReadCall
  readonly #matches: (event: Stored) => boolean
  readonly #filtered: boolean
  /** Events looked through from one checkpoint to the next. */
  readonly #interval: number
  #after: bigint
  /** Position of the last event or checkpoint that was sent. */
  #sent: bigint
  #scanned = 0
  #live: boolean
  #wake: () => void = () => {}

  constructor(log: FakeLog, options: ReadOptions, call: ReadCall) {
    const filter = options.getFilter()
    this.#log = log
    this.#call = call
    this.#matches = matcherOf(options)
    this.#filtered = filter !== undefined
    this.#interval = (filter?.getMax() || LIVE_BUFFER) * (filter?.getCheckpointintervalmultiplier() || 1)
    this.#after = startOf(options, log)
    this.#sent = this.#after
    this.#live = options.getAll()?.hasEnd() ?? false
  }

  async run(): Promise<void> {
    const call = this.#call
    const unwatch = this.#log.watch(() => this.#wake())
    call.on('cancelled', () => this.#wake())
    try {
      const confirmation = new streams.ReadResp.SubscriptionConfirmation().setSubscriptionId(crypto.randomUUID())
      await say(call, new streams.ReadResp().setConfirmation(confirmation))
      if (this.#live) await this.#sayCaughtUp()
      while (!call.cancelled) await this.#step()
    } finally {
      unwatch()
    }
  }

  async #step(): Promise<void> {
    const index = this.#log.indexAfter(this.#after)
    const behind = this.#log.all.slice(index, index + PAGE)
    if (behind.length > LIVE_BUFFER) this.#live = false
    for (const event of behind) if (!this.#call.cancelled) await this.#look(event)
    if (behind.length > 0) return
    if (!this.#live) {
      if (this.#filtered && this.#sent >= 0n) await this.#sayCheckpoint()
      await this.#sayCaughtUp()
    }
    this.#live = true
    await this.#growth()
  }

  async #look(event: Stored): Promise<void> {
    this.#after = event.position
    this.#scanned += 1
    const due = this.#filtered && this.#scanned % this.#interval === 0
    const matches = this.#matches(event)
    if (matches || due) this.#sent = event.position
    if (matches) await say(this.#call, eventMessage(event))
    if (due) await this.#sayCheckpoint()
  }

  #growth(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      if (this.#call.cancelled || this.#log.indexAfter(this.#after) < this.#log.all.length) resolve()
    })
  }

  #sayCaughtUp(): Promise<void> {
    return say(this.#call, new streams.ReadResp().setCaughtUp(new streams.ReadResp.CaughtUp()))
  }

  #sayCheckpoint(): Promise<void> {
    const place = String(this.#sent)
    const message = new streams.ReadResp.Checkpoint().setCommitPosition(place).setPreparePosition(place)
    return say(this.#call, new streams.ReadResp().setCheckpoint(message))
  }
}

/** Subscriptions begin after the event that is named. */
function startOf(options: ReadOptions, log: FakeLog): bigint {
  const all = options.getAll()
  if (all?.hasEnd()) return log.all.at(-1)?.position ?? -1n
  const position = all?.getPosition()
  return position === undefined ? -1n : BigInt(position.getCommitPosition())
}
