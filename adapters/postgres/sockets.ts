import { Socket } from 'node:net'

/** The sockets of a pool's connections: one whose peer neither answers nor hangs up would never end by itself. */
export class Sockets {
  readonly #open = new Set<Socket>()

  readonly make = (): Socket => {
    const socket = new Socket()
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    return socket
  }

  /** What is under way on them fails. */
  cut(): void {
    for (const socket of this.#open) socket.destroy()
  }
}
