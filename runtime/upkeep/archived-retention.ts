import type { Metadata } from '../../domain/event.js'
import type { ArchivedFilter, ArchivedRow, Views } from '../ports/views.js'
import type { Removal } from './removal.js'

/** Jobs that are taken out of a segment at once: what is said of them is one event. */
const AT_ONCE = 2_000

/** What is done to jobs that a rule finds in the archive. */
export interface ArchivedRun {
  readonly rule: { readonly name: string; readonly action: 'remove' | 'expunge' }
  readonly filter: ArchivedFilter
  readonly signal: AbortSignal | undefined
  readonly metadata: Metadata | undefined
  readonly tell: (more: { readonly removed?: number; readonly expunged?: number; readonly kept: number }) => void
}

/** Takes jobs that are due out of their segments, or their bodies: segment by segment, so that each is written anew once. */
export class ArchivedRetention {
  readonly #views: Views
  readonly #removal: Removal

  constructor(views: Views, removal: Removal) {
    this.#views = views
    this.#removal = removal
  }

  async apply(run: ArchivedRun): Promise<void> {
    const done = new Set<string>()
    for await (const rows of this.pages(run.filter, run.signal)) {
      for (const { segment } of rows) {
        if (done.has(segment)) continue
        done.add(segment)
        await this.#applyTo(segment, run)
      }
    }
  }

  /** Latest end first. */
  async *pages(filter: ArchivedFilter, signal: AbortSignal | undefined): AsyncGenerator<readonly ArchivedRow[], void> {
    for (let { before } = filter; ; ) {
      signal?.throwIfAborted()
      const rows = await this.#views.archived({ ...filter, ...(before !== undefined && { before }) })
      if (rows.length > 0) yield rows
      if (rows.length < filter.limit) return
      before = rows.at(-1)?.endPlace
    }
  }

  async #applyTo(segment: string, { rule, filter, signal, metadata, tell }: ArchivedRun): Promise<void> {
    for await (const rows of this.pages({ ...filter, segment, limit: AT_ONCE }, signal)) {
      const ids = rows.map(({ id }) => id)
      if (rule.action === 'remove') tell(await this.#removal.removeArchived(segment, ids, rule.name, metadata))
      else tell(await this.#removal.expungeArchived(segment, ids, rule.name, metadata))
    }
  }
}
