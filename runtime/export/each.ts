/** A filtered export: each event that the last checkpoint covers has the path that proves it. */
import { isLeaf, LeafHasher } from '../../domain/audit/leaf.js'
import type { EventTexts } from '../../domain/event.js'
import { Paths, Survey } from '../audit/paths.js'
import type { Prover } from '../audit/prover.js'
import { leafFilter } from '../audit/trail.js'
import type { Digest } from '../ports/digest.js'
import type { Content, Item, Proof, Selection } from './content.js'

export class Each implements Content {
  readonly #selection: Selection
  readonly #prover: Prover
  readonly #digest: Digest
  readonly #survey: Survey
  /** Of those that are sealed, in order. */
  readonly #indexes: number[] = []

  constructor(selection: Selection, prover: Prover, digest: Digest) {
    this.#selection = selection
    this.#prover = prover
    this.#digest = digest
    this.#survey = new Survey(prover, digest.hash)
  }

  async *survey(): AsyncGenerator<readonly Item[], void, undefined> {
    const hasher = new LeafHasher(this.#digest.hash)
    for await (const page of this.#pages()) {
      for (const { event, isSealed } of page)
        if (isSealed) this.#indexes.push(await this.#survey.find(hasher.hash(event), event))
      yield page
    }
    await this.#survey.finish()
  }

  proof(since: string | undefined): Promise<Proof> {
    return this.#prover.seal(since)
  }

  async *lines(): AsyncGenerator<readonly Item[], void, undefined> {
    const paths = new Paths(this.#prover, this.#digest.hash, this.#survey.subtrees)
    let next = 0
    try {
      for await (const page of this.#pages()) {
        const items: Item[] = []
        for (const item of page) {
          const index = item.isSealed ? this.#indexes[next++] : undefined
          items.push(index === undefined ? item : { ...item, place: { index, path: await paths.of(index) } })
        }
        yield items
      }
    } finally {
      await paths.close()
    }
  }

  async *#pages(): AsyncGenerator<{ readonly event: EventTexts; readonly isSealed?: boolean }[]> {
    const { log, lingers } = this.#selection
    const isOne = await leafFilter(log, lingers)
    const { end } = this.#prover.latest
    for await (const page of this.#selection.events(true)) {
      // Leaves that are none were removed before there was a checkpoint.
      const shown = page.filter((event) => isOne(event) || !isLeaf(event))
      yield shown.map((event) => (isLeaf(event) ? { event, isSealed: event.position <= end } : { event }))
    }
  }
}
