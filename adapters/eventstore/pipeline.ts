/**
 * Appends on their way: sent one behind the other without waiting for answers, at most so many and so much at once, and told
 * apart by their correlation ids. A hundred of them take about one round trip. When the stream they go on is lost, or an answer
 * stays out for too long, nobody can say what became of those under way; whatever is appended next opens a new one.
 */
import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js'
import { ANSWER_MS, type AppendCall } from './client.js'
import { Ended, isSurelyUnsent, Silence } from './errors.js'

const IN_FLIGHT = 256
/** But for an append that is larger alone. */
const IN_FLIGHT_BYTES = 1024 * 1024

export interface Append {
  /** Correlation id. */
  readonly id: string
  /** Of its first event. */
  readonly first: string
  /** Its parts, as they are sent. */
  readonly parts: readonly BatchAppendReq[]
  readonly bytes: number
}

/** `lost`: nobody can say. `unsent`: it never left. */
export type Answer =
  | { readonly kind: 'answered'; readonly answer: BatchAppendResp }
  | { readonly kind: 'lost' | 'unsent'; readonly error: unknown }

interface Waiting {
  readonly append: Append
  readonly settle: (answer: Answer) => void
  sentAt: number
}

/** What appends need of the connection. */
interface Line {
  openAppends(): Promise<AppendCall>
  failed(error: unknown): void
  works(): void
}

export class Pipeline {
  readonly #line: Line
  readonly #queue: Waiting[] = []
  /** In the order in which they were sent. */
  readonly #sent = new Map<string, Waiting>()
  /** First ids of those. */
  readonly #firsts = new Set<string>()
  #bytes = 0
  #call: AppendCall | undefined
  #opening = false
  #watch: NodeJS.Timeout | undefined
  #idle: (() => void)[] = []

  constructor(line: Line) {
    this.#line = line
  }

  /** In the order of the calls. Never rejects. */
  send(append: Append): Promise<Answer> {
    return new Promise((settle) => {
      this.#queue.push({ append, settle, sentAt: 0 })
      this.#pump()
    })
  }

  /** Resolves when nothing is under way. */
  async drained(): Promise<void> {
    if (this.#queue.length + this.#sent.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  close(): void {
    const call = this.#call
    this.#call = undefined
    call?.end()
    call?.cancel()
  }

  #pump(): void {
    if (this.#queue.length > 0 && this.#call === undefined) void this.#connect()
    while (this.#call !== undefined && this.#hasRoom()) {
      const next = this.#queue.shift()
      if (next === undefined) break
      this.#write(this.#call, next)
    }
    if (this.#queue.length + this.#sent.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  #hasRoom(): boolean {
    const next = this.#queue[0]
    if (next === undefined || this.#sent.size >= IN_FLIGHT) return false
    // A repetition of what is not in its index yet the server lets time out; those behind it keep their place.
    if (this.#firsts.has(next.append.first)) return false
    return this.#sent.size === 0 || this.#bytes + next.append.bytes <= IN_FLIGHT_BYTES
  }

  #write(call: AppendCall, waiting: Waiting): void {
    const { id, parts, bytes } = waiting.append
    waiting.sentAt = performance.now()
    this.#sent.set(id, waiting)
    this.#firsts.add(waiting.append.first)
    this.#bytes += bytes
    this.#watch ??= setTimeout(() => this.#look(), ANSWER_MS)
    for (const part of parts) call.write(part)
  }

  async #connect(): Promise<void> {
    if (this.#opening) return
    this.#opening = true
    try {
      const call = await this.#line.openAppends()
      call.on('data', (answer: BatchAppendResp) => this.#answered(answer))
      call.on('error', (error) => this.#lose(call, error))
      // With OK: the server does so when it stops, whatever it owes.
      call.on('end', () => this.#lose(call, new Ended()))
      this.#call = call
    } catch (error) {
      for (const { settle } of this.#queue.splice(0)) settle({ kind: 'unsent', error })
    } finally {
      this.#opening = false
    }
    this.#pump()
  }

  #answered(answer: BatchAppendResp): void {
    const id = answer.getCorrelationId()?.getString() ?? ''
    const waiting = this.#sent.get(id)
    // An answer that came too late.
    if (waiting === undefined) return
    this.#line.works()
    this.#sent.delete(id)
    this.#firsts.delete(waiting.append.first)
    this.#bytes -= waiting.append.bytes
    waiting.settle({ kind: 'answered', answer })
    this.#pump()
  }

  #lose(call: AppendCall, error: unknown): void {
    if (this.#call !== call) return
    this.#line.failed(error)
    this.#call = undefined
    call.cancel()
    const kind = isSurelyUnsent(error) ? 'unsent' : 'lost'
    const lost = [...this.#sent.values()]
    this.#sent.clear()
    this.#firsts.clear()
    this.#bytes = 0
    for (const { settle } of lost) settle({ kind, error })
    this.#pump()
  }

  /** The one that was sent first waits the longest. */
  #look(): void {
    this.#watch = undefined
    const [oldest] = this.#sent.values()
    if (oldest === undefined) return
    const left = oldest.sentAt + ANSWER_MS - performance.now()
    if (left <= 0 && this.#call !== undefined) this.#lose(this.#call, new Silence())
    else this.#watch = setTimeout(() => this.#look(), Math.max(left, 1))
  }
}
