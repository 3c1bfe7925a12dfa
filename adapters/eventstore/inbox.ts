/** The messages of a read as they come, kept while nobody asks; the server is held up when that becomes too much. */
import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js'
import { PAGE_SIZE } from '../shared/pages.js'
import { ANSWER_MS, type ReadCall } from './client.js'
import { Silence } from './errors.js'

/** Bytes kept at most, but for a message that is larger alone. */
const KEPT_BYTES = 4 * 1024 * 1024

export class Inbox {
  readonly #call: ReadCall
  #messages: ReadResp[] = []
  #bytes = 0
  #state: 'open' | 'ended' | Error = 'open'
  #wake: (() => void) | undefined
  #dozing = false

  constructor(call: ReadCall) {
    this.#call = call
    call.on('data', (message: ReadResp) => this.#keep(message))
    call.on('end', () => this.#close('ended'))
    call.on('error', (error) => this.#close(error))
  }

  get isEmpty(): boolean {
    return this.#messages.length === 0
  }

  /** What has come, at least one message; [] at the end. Rejects with the error that ended it, or Silence. */
  async take(patience: number = ANSWER_MS): Promise<ReadResp[]> {
    if (this.isEmpty && this.#state === 'open') await this.#something(patience)
    if (this.isEmpty && this.#state !== 'ended') throw this.#state
    const taken = this.#messages
    this.#messages = []
    this.#bytes = 0
    this.#call.resume()
    return taken
  }

  /** Ends it for whoever waits. */
  cancel(): void {
    this.#close('ended')
    this.#messages = []
    this.#call.cancel()
  }

  #keep(message: ReadResp): void {
    if (this.#state !== 'open') return
    this.#messages.push(message)
    const record = message.getEvent()?.getEvent()
    if (record !== undefined) this.#bytes += record.getData_asU8().length + record.getCustomMetadata_asU8().length
    if (this.#messages.length >= PAGE_SIZE || this.#bytes >= KEPT_BYTES) this.#call.pause()
    // All that comes in one turn of the event loop is taken at once.
    if (this.#wake === undefined || this.#dozing) return
    this.#dozing = true
    setImmediate(() => this.#wake?.())
  }

  #close(state: 'ended' | Error): void {
    if (this.#state !== 'open') return
    this.#state = state
    this.#wake?.()
  }

  async #something(patience: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (patience !== Number.POSITIVE_INFINITY) timer = setTimeout(() => this.#close(new Silence()), patience)
    })
    clearTimeout(timer)
    this.#wake = undefined
    this.#dozing = false
  }
}
