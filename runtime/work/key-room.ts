/** Leases of jobs whose runs are limited by a key. */
import { limitStream } from '../../domain/claim/events.js'
import type { KeyClaim } from '../../domain/claim/key-limit.js'
import type { Position } from '../../domain/event.js'
import type { KeyLimit } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { KeyAtLimit } from '../../domain/rejection.js'
import type { Feed } from '../read/feed.js'
import type { Command } from '../write/command.js'
import type { Journal } from '../write/journal.js'

/**
 * One for all who lease in this process. `hasRoom` keeps them from asking in vain; whether there is room is decided by the
 * append.
 */
export class KeyRoom {
  readonly #feed: Feed
  readonly #journal: Journal
  /** Tokens of leases on their way, by key. */
  readonly #underWay = new Map<string, Set<string>>()
  /** Keys of which the store knows more than was folded here. */
  readonly #shut = new Set<string>()

  constructor(feed: Feed, journal: Journal) {
    this.#feed = feed
    this.#journal = journal
  }

  /** Whether a run of this job may begin, as far as its key is concerned. */
  readonly hasRoom = (job: JobState): boolean => {
    const concurrency = job.rare?.concurrency
    if (concurrency === undefined) return true
    const { key, limit } = concurrency
    if (this.#shut.has(key)) return false
    return this.#feed.board.keys.running(key) + this.#onTheirWay(key) + this.#takenElsewhere(key) < limit
  }

  /** By others whose leases are still to come. */
  #takenElsewhere(key: string): number {
    const { groups } = this.#feed
    if (groups.size === 0) return 0
    let count = 0
    for (const token of groups.taking(limitStream(key))) if (!this.#underWay.get(key)?.has(token)) count += 1
    return count
  }

  /** Those that are not counted as running yet. */
  #onTheirWay(key: string): number {
    let count = 0
    for (const token of this.#underWay.get(key) ?? []) if (!this.#feed.board.leased.has(token)) count += 1
    return count
  }

  /** `lease` makes the command; it is given what a job with a key must claim. Throws as the journal does, and KeyAtLimit. */
  lease({ rare }: JobState, token: string, lease: (claim?: KeyClaim) => Command<void>): Promise<void> {
    const concurrency = rare?.concurrency
    return concurrency === undefined ? this.#journal.submit(lease()) : this.#leaseOfKey(concurrency, token, lease)
  }

  async #leaseOfKey({ key, limit }: KeyLimit, own: string, lease: (claim: KeyClaim) => Command<void>): Promise<void> {
    const tokens = this.#underWay.get(key) ?? new Set()
    this.#underWay.set(key, tokens.add(own))
    let seen: Position | undefined
    const isHeld: KeyClaim['isHeld'] = (token, position) => {
      seen = position
      return this.#feed.isHeld(token, position)
    }
    try {
      await this.#journal.submit(lease({ key, limit, isHeld }))
    } catch (error) {
      if (error instanceof KeyAtLimit && seen !== undefined) this.#shutUntil(seen, key)
      throw error
    } finally {
      tokens.delete(own)
      if (tokens.size === 0) this.#underWay.delete(key)
      // Not begun, or over by now: another one of the key may have been passed over meanwhile.
      const { leased, pending } = this.#feed.board
      if (!leased.has(own)) pending.freed(key)
    }
  }

  /** It was refused for what was read in the store: until the feed has come so far, asking again would only be refused again. */
  #shutUntil(position: Position, key: string): void {
    const reached = this.#feed.reached(position)
    if (reached === undefined) return
    this.#shut.add(key)
    void reached.then(() => {
      this.#shut.delete(key)
      this.#feed.board.pending.freed(key)
      this.#journal.wake()
    })
  }
}
