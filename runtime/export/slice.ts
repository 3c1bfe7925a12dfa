/** An export without a gap: all leaves from one to another, and what came after the last checkpoint. */
import { toBase64 } from '../../domain/audit/encoding.js'
import { isLeaf, LeafHasher } from '../../domain/audit/leaf.js'
import type { EventTexts } from '../../domain/event.js'
import { NAME_TAKEN } from '../../domain/job/events.js'
import { Alignment } from '../audit/alignment.js'
import { LogDiffers } from '../audit/errors.js'
import { wordsOf } from '../audit/findings.js'
import type { Prover } from '../audit/prover.js'
import { RemovedStreams } from '../audit/removed-streams.js'
import { type LeafFilter, leafFilter } from '../audit/trail.js'
import type { Gone } from '../copy/removed.js'
import type { Digest } from '../ports/digest.js'
import { textsOf } from '../read/texts.js'
import type { Content, Item, Proof, Selection } from './content.js'

export class Slice implements Content {
  readonly #selection: Selection
  readonly #prover: Prover
  readonly #digest: Digest
  readonly #removed: RemovedStreams
  /** Leaves of the checkpoint that are in it: from the first on, up to and without the other. */
  #span: { readonly from: number; readonly to: number } | undefined

  constructor(selection: Selection, prover: Prover, digest: Digest) {
    this.#selection = selection
    this.#prover = prover
    this.#digest = digest
    this.#removed = new RemovedStreams(digest.hash)
  }

  async *survey(): AsyncGenerator<readonly Item[], void, undefined> {
    await this.#removed.refresh(this.#selection.log)
    yield* this.#items()
  }

  async proof(since: string | undefined): Promise<Proof> {
    const span = this.#span
    const sealed = await this.#prover.seal(since)
    if (span === undefined) return sealed
    const outside = (await this.#prover.outside(span)).map(toBase64)
    return { ...sealed, slice: { index: span.from, outside } }
  }

  lines(): AsyncIterable<readonly Item[]> {
    return this.#items()
  }

  async *#items(): AsyncGenerator<readonly Item[], void, undefined> {
    const { log, bounds, lingers } = this.#selection
    if (bounds.until === '') return
    const { index, after, leaves } = this.#prover.keptAfter(bounds.after)
    const walk = new Walk(this.#selection, this.#removed, {
      ...{ index, leaves, end: this.#prover.latest.end, hasher: new LeafHasher(this.#digest.hash) },
      ...{ isOne: await leafFilter(log, lingers), gone: await this.#selection.gone() },
    })
    try {
      for await (const page of this.#selection.unhurried(textsOf(log, { after, until: bounds.until })))
        yield await walk.itemsOf(page)
      yield await walk.rest()
    } finally {
      await leaves.return(undefined)
    }
    this.#span = walk.span
  }
}

interface Way {
  /** Of the first leaf. */
  readonly index: number
  readonly leaves: AsyncIterator<Uint8Array>
  /** Position of the checkpoint's last. */
  readonly end: string
  readonly hasher: LeafHasher
  readonly isOne: LeafFilter
  readonly gone: Gone
}

/** Once through the log, beside its kept leaves. What lies before the range is passed over. */
class Walk {
  readonly #selection: Selection
  readonly #removed: RemovedStreams
  readonly #way: Way
  readonly #alignment: Alignment
  /** Bare leaves that stand before the next event. */
  #bare: Item[] = []
  #from: number | undefined

  constructor(selection: Selection, removed: RemovedStreams, way: Way) {
    this.#selection = selection
    this.#removed = removed
    this.#way = way
    this.#alignment = new Alignment(way.leaves, removed.leaves, (index, leaf) => this.#bare.push({ index, leaf }))
    this.#alignment.index = way.index
    // A whole log begins with its first leaf, there or not.
    if (selection.bounds.after === '') this.#from = way.index
  }

  get span(): { readonly from: number; readonly to: number } | undefined {
    const { index } = this.#alignment
    return this.#from === undefined || index === this.#from ? undefined : { from: this.#from, to: index }
  }

  async itemsOf(page: readonly EventTexts[]): Promise<Item[]> {
    const items: Item[] = []
    for (const event of page) {
      const { stream, type, position } = event
      const isInside = position > this.#selection.bounds.after
      const isShown = isInside && type !== NAME_TAKEN && !this.#way.gone.has(stream)
      if (!this.#way.isOne(event)) {
        // Leaves that are none were removed before there was a checkpoint.
        if (isShown && !isLeaf(event)) items.push({ event })
        continue
      }
      const leaf = this.#way.hasher.hash(event)
      const isSealed = await this.#isSealed(event, leaf)
      if (!isInside) {
        this.#bare = []
        continue
      }
      if (isSealed) items.push(...this.#takeBare())
      if (isShown) items.push({ event, isSealed })
      else if (isSealed) items.push({ index: this.#alignment.index - 1, leaf })
    }
    return items
  }

  /** Those before the first event of a range are outside of it. */
  #takeBare(): Item[] {
    const bare = this.#from === undefined ? [] : this.#bare
    this.#from ??= this.#alignment.index - 1
    this.#bare = []
    return bare
  }

  /** Up to the end of the checkpoint, if the range goes so far. */
  async rest(): Promise<Item[]> {
    const { bounds } = this.#selection
    if (bounds.until < this.#way.end || this.#from === undefined) return []
    if (await this.#alignment.takeRest()) return this.#takeBare()
    throw new LogDiffers(`The log ends before the last checkpoint does: audit.verify tells more.`)
  }

  /** False: it came after the checkpoint. Throws LogDiffers. */
  async #isSealed(event: EventTexts, leaf: Uint8Array): Promise<boolean> {
    let found = await this.#alignment.find(leaf)
    // Somebody may have removed jobs since the audit stream was read.
    while (found === 'other' && (await this.#removed.refresh(this.#selection.log)))
      found = await this.#alignment.find(leaf)
    if (found === 'same') return true
    if (found === 'spent' && event.position > this.#way.end) return false
    throw new LogDiffers(`${wordsOf(event)} is not what was signed, or stands elsewhere: audit.verify tells more.`)
  }
}
