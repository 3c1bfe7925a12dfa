import type { Position } from '../../domain/event.js'
import type { KeptCheckpoint, KeptCheckpoints, KeptContent } from '../../runtime/ports/views.js'
import { pack, unpack } from '../shared/packing.js'

/** Packed, as in a file: they are many, and hardly ever read. */
export class MemoryKeptCheckpoints implements KeptCheckpoints {
  readonly #kept = new Map<Position, { readonly about: KeptCheckpoint; readonly parts: readonly Uint8Array[] }>()
  readonly #checkOpen: () => void

  constructor(checkOpen: () => void) {
    this.#checkOpen = checkOpen
  }

  async list(): Promise<KeptCheckpoint[]> {
    this.#checkOpen()
    const all = [...this.#kept.values()].map(({ about }) => about)
    return all.sort((a, b) => (a.checkpoint.position < b.checkpoint.position ? -1 : 1))
  }

  async keep(kept: Omit<KeptCheckpoint, 'bytes'>, content: KeptContent<Iterable<string>>): Promise<void> {
    this.#checkOpen()
    const parts: Uint8Array[] = []
    for await (const part of pack(content)) parts.push(part)
    const bytes = parts.reduce((sum, { length }) => sum + length, 0)
    this.#kept.set(kept.checkpoint.position, { about: { ...kept, bytes }, parts })
  }

  async content(position: Position): Promise<KeptContent<AsyncIterable<string[]>> | undefined> {
    this.#checkOpen()
    const kept = this.#kept.get(position)
    return kept && unpack(kept.parts)
  }

  async drop(positions: readonly Position[]): Promise<void> {
    this.#checkOpen()
    for (const position of positions) this.#kept.delete(position)
  }
}
