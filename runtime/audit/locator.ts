/** Where the log and its kept leaves differ. Slow, and takes a hundred bytes a leaf: only once they are known to. */
import { fromHex, toHex } from '../../domain/audit/encoding.js'
import { HASH_BYTES, LeafHasher, type Sha256 } from '../../domain/audit/leaf.js'
import type { EventTexts } from '../../domain/event.js'
import type { LogReader } from '../ports/event-store.js'
import { textsOf } from '../read/texts.js'
import type { AuditFinding, Named } from './findings.js'
import { about, leavesWords, placeOf, wordsOf } from './findings.js'
import type { Losses, Missing } from './losses.js'
import { keptLeaves, type Reckoning } from './reckoning.js'
import type { RemovedStreams } from './removed-streams.js'
import type { LeafFilter } from './trail.js'

/** An event of which no leaf is kept. */
interface Unknown {
  readonly event: Named
  /** The last leaf that was found before it; -1: none. */
  readonly after: number
}

/** Kept leaves that were passed over on the way from one event to the next. */
interface Jump {
  readonly from: number
  readonly to: number
  readonly before: Named | undefined
  readonly behind: Named
}

/** Revisions that are missing in a stream. */
interface Gap {
  readonly stream: string
  readonly revision: number
}

export class Locator {
  readonly #hasher: LeafHasher
  readonly #indexes = new Map<string, number>()
  readonly #seen: Uint8Array
  readonly #removed: RemovedStreams
  readonly #losses: Losses
  readonly #base: number
  readonly #unknown: Unknown[] = []
  readonly #jumps: Jump[] = []
  readonly #gaps: Gap[] = []
  readonly #revisions = new Map<string, number>()
  readonly findings: AuditFinding[] = []
  #last: { readonly index: number; readonly event: Named | undefined }

  /** Events that are as they were, that are gone on record, and that came after the last checkpoint. */
  compared = 0
  gone = 0
  unsealed = 0

  private constructor(sha256: Sha256, { ranges, removed, base }: Reckoning, losses: Losses) {
    this.#hasher = new LeafHasher(sha256)
    this.#seen = new Uint8Array(ranges.at(-1)?.size ?? base.size).fill(1, 0, base.size)
    this.#removed = removed
    this.#losses = losses
    this.#base = base.size
    this.#last = { index: base.size - 1, event: undefined }
  }

  static async locate(
    { log, reckoning, losses }: { log: LogReader; reckoning: Reckoning; losses: Losses },
    isOne: LeafFilter,
    sha256: Sha256,
    signal: AbortSignal | undefined,
  ): Promise<Locator> {
    const locator = new Locator(sha256, reckoning, losses)
    for await (const leaves of keptLeaves(log, reckoning.ranges)) locator.#know(leaves)
    for await (const page of textsOf(log, { after: reckoning.base.end })) {
      signal?.throwIfAborted()
      for (const event of page) if (isOne(event)) locator.#walk(event)
    }
    locator.#conclude()
    locator.findings.sort((a, b) => (a.leaves?.from ?? 0) - (b.leaves?.from ?? 0))
    return locator
  }

  #know(leaves: Uint8Array): void {
    for (let at = 0; at < leaves.length; at += HASH_BYTES) {
      this.#indexes.set(toHex(leaves.subarray(at, at + HASH_BYTES)), this.#base + this.#indexes.size)
    }
  }

  #walk(event: EventTexts): void {
    const { stream, revision } = event
    for (let next = (this.#revisions.get(stream) ?? -1) + 1; next < revision; next += 1) {
      this.#gaps.push({ stream, revision: next })
    }
    this.#revisions.set(stream, Math.max(revision, this.#revisions.get(stream) ?? -1))
    const leaf = this.#hasher.hash(event)
    const index = this.#indexes.get(toHex(leaf))
    if (index === undefined) this.#unknown.push({ event: placeOf(event), after: this.#last.index })
    else this.#meet(event, index, leaf)
  }

  #meet(event: EventTexts, index: number, leaf: Uint8Array): void {
    if (this.#seen[index] === 1) {
      this.findings.push(about('inserted', event, index, `is there twice`))
      return
    }
    this.#seen[index] = 1
    this.compared += 1
    if (index < this.#last.index) {
      // Removed on record, and not out of sight yet.
      if (!this.#removed.leaves.has(leaf)) this.#tellMoved(event, index)
      return
    }
    if (index > this.#last.index + 1) {
      const [from, to] = [this.#last.index + 1, index - 1]
      this.#jumps.push({ from, to, before: this.#last.event, behind: placeOf(event) })
    }
    this.#last = { index, event: placeOf(event) }
  }

  #tellMoved(event: EventTexts, index: number): void {
    const before = this.#last.event
    const where = before === undefined ? '' : `, behind ${wordsOf(before)}`
    this.findings.push(
      about(
        'moved',
        event,
        index,
        `is not where it was: it is leaf ${index}, and stands behind leaf ${this.#last.index}${where}`,
      ),
    )
  }

  /** What came in where something else is missing has taken its place. */
  #conclude(): void {
    const missing = this.#missing()
    const dropped: number[] = []
    const byAnchor = grouped(this.#unknown)
    let anchor = -1
    for (let index = 0; index < this.#seen.length; index += 1) {
      if (this.#seen[index] === 1) anchor = index
      if (!missing.has(index)) continue
      const event = byAnchor.get(anchor)?.shift()?.event
      if (event === undefined) dropped.push(index)
      else this.findings.push(about('changed', event, index, 'is not as it was'))
    }
    for (const [after, unknown] of byAnchor) {
      // What follows the last leaf is not in a checkpoint yet.
      if (after === this.#last.index) {
        this.unsealed = unknown.length
        continue
      }
      for (const { event } of unknown) {
        this.findings.push(about('inserted', event, after + 1, 'was not there when the checkpoint was signed'))
      }
    }
    this.#tellDropped(dropped)
  }

  #missing(): Set<number> {
    const missing: Missing[] = []
    for (const [hex, leaf] of this.#indexes) {
      if (this.#seen[leaf] === 1) continue
      const hash = fromHex(hex) as Uint8Array
      if (this.#removed.leaves.has(hash)) this.gone += 1
      else missing.push({ leaf, isListed: this.#removed.lost.has(hash) })
    }
    return new Set(this.#losses.isNone ? missing.map(({ leaf }) => leaf) : this.#unexcused(missing))
  }

  /** Where an event is that is not known, one of those that are missing was changed, and does not lie in a file that is lost. */
  #unexcused(missing: readonly Missing[]): number[] {
    const strangers = grouped(this.#unknown)
    const changed: number[] = []
    const rest: Missing[] = []
    let jump = 0
    for (const each of missing) {
      while ((this.#jumps[jump]?.to ?? each.leaf) < each.leaf) jump += 1
      const { from, before, behind } = this.#jumps[jump] ?? {
        ...{ from: this.#last.index + 1, before: this.#last.event, behind: undefined },
      }
      if (!each.isListed && strangers.get(from - 1)?.pop() !== undefined) changed.push(each.leaf)
      else if (from <= each.leaf) rest.push({ ...each, after: before?.position, before: behind?.position })
      else rest.push(each)
    }
    return [...changed, ...this.#losses.unexcused(rest)]
  }

  #tellDropped(dropped: readonly number[]): void {
    // Only where each can be told: a stream whose end was dropped has no gap.
    const names = this.#gaps.length === dropped.length ? this.#gaps : []
    for (let next = 0; next < dropped.length; ) {
      const from = dropped[next] as number
      let count = 1
      while (names.length === 0 && dropped[next + count] === from + count) count += 1
      this.findings.push(this.#dropped(from, from + count - 1, names[next]))
      next += count
    }
  }

  #dropped(from: number, to: number, name: Gap | undefined): AuditFinding {
    const what = name === undefined ? '' : ` (revision ${name.revision} of ${name.stream})`
    const jump = this.#jumps.find((each) => each.from <= from && each.to >= to)
    const leaves = { from, to }
    if (jump === undefined && this.#last.index < from) {
      const end = this.#last.event
      const where =
        end === undefined ? 'the log is empty' : `the log ends with ${wordsOf(end)}, leaf ${this.#last.index}`
      return {
        kind: 'truncated',
        message: `${leavesWords(from, to)} and all behind are gone: ${where}`,
        leaves,
        ...end,
      }
    }
    const before = jump?.before === undefined ? 'the beginning' : wordsOf(jump.before)
    const behind = jump === undefined ? 'the end' : wordsOf(jump.behind)
    const message = `${leavesWords(from, to)}${what} dropped between ${before} and ${behind}, and nothing on record says why`
    return { kind: 'dropped', message, leaves, ...name }
  }
}

function grouped(unknown: readonly Unknown[]): Map<number, Unknown[]> {
  const groups = new Map<number, Unknown[]>()
  for (const each of unknown) {
    const group = groups.get(each.after)
    if (group === undefined) groups.set(each.after, [each])
    else group.push(each)
  }
  return groups
}
