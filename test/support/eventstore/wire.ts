/** The network between clients and the fake: a TCP relay that can be cut, held up and opened again at the same port. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class Wire {
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #port = 0
  #held = false

  /** `target`: the port behind it. */
  constructor(target: number) {
    this.#target = target
  }

  get port(): number {
    return this.#port
  }

  /** Where it was before, if it was open before. */
  async open(port: number = this.#port): Promise<void> {
    const server = createServer((socket) => this.#relay(socket))
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** Refuses whoever comes and drops whoever is there. */
  async shut(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    this.cut()
    await closed
  }

  /** Drops whoever is there. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Keeps connections open and lets nothing through: what a frozen server or a network that swallows packets looks like. */
  hold(): void {
    this.#held = true
    for (const socket of this.#sockets) socket.pause()
  }

  letGo(): void {
    this.#held = false
    for (const socket of this.#sockets) socket.resume()
  }

  #relay(client: Socket): void {
    const server = connect(this.#target, '127.0.0.1')
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from)
      from.setNoDelay(true)
      from.on('data', (chunk) => {
        if (!to.write(chunk)) from.pause()
      })
      to.on('drain', () => {
        if (!this.#held) from.resume()
      })
      from.on('error', () => {})
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      if (this.#held) from.pause()
    }
  }
}
