/** Stands between a client and the PostgreSQL of the tests, and does what networks and poolers do. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'

/** Of the server's messages: word of a NOTIFY. */
const NOTIFICATION = 'A'.charCodeAt(0)
const HEADER = 5

export class Relay {
  readonly url: string
  /** The server's notifications get lost. */
  deaf = false
  /** How many have been. */
  lost = 0
  readonly #server: Server
  readonly #links = new Set<readonly [Socket, Socket]>()
  #frozen = false

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
  }

  /** `url`: of the server, by a socket in a folder (`?host=`) or by host and port. */
  static async to(url: string): Promise<Relay> {
    const own = new URL(url)
    const folder = own.searchParams.get('host')
    const port = Number(own.port || 5432)
    const upstream = (): Socket =>
      folder === null ? connect(port, own.hostname) : connect(join(folder, `.s.PGSQL.${port}`))
    const server = createServer((client) => relay.#link(client, upstream()))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    own.searchParams.delete('host')
    own.hostname = '127.0.0.1'
    own.port = String((server.address() as { port: number }).port)
    const relay = new Relay(server, own.href)
    return relay
  }

  /** Nothing gets through any more, and nobody hangs up. New connections are taken, and get no answer. */
  freeze(): void {
    this.#frozen = true
    for (const link of this.#links) for (const end of link) end.pause()
  }

  thaw(): void {
    this.#frozen = false
    for (const link of this.#links) for (const end of link) end.resume()
  }

  /** After `close`, at the same place. */
  async open(): Promise<void> {
    const { port } = new URL(this.url)
    await new Promise<void>((resolve) => this.#server.listen(Number(port), '127.0.0.1', resolve))
  }

  /** Every connection is gone; new ones are taken. */
  cut(): void {
    for (const link of this.#links) for (const end of link) end.destroy()
  }

  /** Nobody listens there any more. Idempotent. */
  async close(): Promise<void> {
    this.cut()
    if (!this.#server.listening) return
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #link(client: Socket, server: Socket): void {
    const link = [client, server] as const
    this.#links.add(link)
    const end = (): void => {
      for (const each of link) each.destroy()
      this.#links.delete(link)
    }
    for (const each of link) each.on('error', end).on('close', end)
    client.on('data', (bytes) => server.write(bytes))
    let rest = Buffer.alloc(0)
    server.on('data', (bytes) => {
      const [heard, left] = messagesIn(Buffer.concat([rest, bytes]))
      rest = left
      const passed = this.deaf ? heard.filter((message) => message[0] !== NOTIFICATION) : heard
      this.lost += heard.length - passed.length
      client.write(Buffer.concat(passed))
    })
    if (this.#frozen) for (const each of link) each.pause()
  }
}

/** Whole messages, and what has come of the next one. */
function messagesIn(bytes: Buffer): [messages: Buffer[], rest: Buffer<ArrayBuffer>] {
  const messages: Buffer[] = []
  let at = 0
  while (bytes.length - at >= HEADER) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (end > bytes.length) break
    messages.push(bytes.subarray(at, end))
    at = end
  }
  return [messages, Buffer.from(bytes.subarray(at))]
}
