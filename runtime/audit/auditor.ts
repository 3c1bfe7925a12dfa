/** All that a runtime does about checkpoints: it makes them, from time to time by itself, and proves and verifies by them. */

import { endLine, eventLine, manifestLine } from '../../domain/audit/bundle.js'
import { LeafHasher } from '../../domain/audit/leaf.js'
import type { EventTexts } from '../../domain/event.js'
import { jobStream } from '../../domain/job/events.js'
import { JobUnknown } from '../../domain/rejection.js'
import type { Archive } from '../archive/archive.js'
import type { Clock } from '../ports/clock.js'
import { delay } from '../ports/clock.js'
import type { LogReader } from '../ports/event-store.js'
import type { Ids } from '../ports/ids.js'
import type { Feed } from '../read/feed.js'
import type { Queries } from '../read/queries.js'
import { textsOf } from '../read/texts.js'
import type { Journal } from '../write/journal.js'
import { AuditKeyMissing, ProofUnavailable } from './errors.js'
import type { Seal } from './notary.js'
import { Notary } from './notary.js'
import type { AuditSettings } from './options.js'
import { Prover } from './prover.js'
import type { KeyTools } from './signer.js'
import { originOf, toSigner } from './signer.js'
import type { Signed } from './trail.js'
import { allSigned, lastSigned } from './trail.js'
import { Verifier } from './verifier.js'

export interface AuditorOptions extends KeyTools {
  readonly logId: string
  readonly log: LogReader
  readonly archive: Pick<Archive, 'readable'>
  readonly journal: Journal
  readonly feed: Feed
  readonly queries: Queries
  readonly clock: Clock
  readonly ids: Ids
  readonly settings: AuditSettings | undefined
  /** See Verifier. */
  readonly lingers: boolean
}

/** What one event is proven by: its place in its stream. */
export interface EventPlace {
  readonly stream: string
  readonly revision: number
}

export class Auditor {
  readonly #options: AuditorOptions
  readonly #seal: Seal | undefined
  readonly #notary: Notary
  readonly verifier: Verifier
  /** One at a time: who comes second finds little to do. */
  #busy: Promise<unknown> = Promise.resolve()
  /** When somebody has begun a checkpoint last (ms), as far as this process has seen. */
  #begunAt = 0

  /** Throws InvalidOption. */
  constructor(options: AuditorOptions) {
    this.#options = options
    const { settings, feed } = options
    if (settings !== undefined) {
      const signer = toSigner(settings.key, 'openLedger.audit.key', options)
      this.#seal = { signer, origin: settings.origin ?? originOf(signer, options) }
    }
    this.#notary = new Notary(options)
    this.verifier = new Verifier(options.archive, options, options.lingers)
    feed.events$.subscribe(({ type, at }) => {
      if (type === 'CheckpointBegun') this.#begunAt = Math.max(this.#begunAt, at)
    })
  }

  /** Public key of what this process signs with. */
  get key(): string | undefined {
    return this.#seal?.signer.key
  }

  /** Throws AuditKeyMissing. */
  async checkpoint(signal?: AbortSignal): Promise<{ readonly signed: Signed; readonly isNew: boolean }> {
    const seal = this.#seal
    if (seal === undefined) throw new AuditKeyMissing()
    const made = this.#busy.then(() => this.#notary.checkpoint(seal, signal))
    this.#busy = made.catch(() => {})
    return made
  }

  /** Whether it makes any by itself. */
  get isPeriodic(): boolean {
    return this.#options.settings?.everyMs !== undefined
  }

  /** A duty: once in a while, unless another process did. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, ids, settings } = this.#options
    const every = settings?.everyMs ?? 0
    const since = clock.now()
    this.#begunAt = Math.max(this.#begunAt, (await lastSigned(log))?.at ?? since)
    for (;;) {
      // Several processes do not come at the very same moment.
      await delay(
        clock,
        Math.max(0, this.#begunAt + every - clock.now()) + Math.floor(ids.draw() * (every / 20)),
        signal,
      )
      if (clock.now() < this.#begunAt + every) continue
      await this.checkpoint(signal)
      this.#begunAt = clock.now()
    }
  }

  signed(): Promise<Signed[]> {
    return allSigned(this.#options.log)
  }

  /** The lines of a proof of what the last checkpoint covers. Throws ProofUnavailable, LogDiffers, JobUnknown, JobRemoved, NoteUnreadable. */
  async proveJob(id: string, since: string | undefined): Promise<string> {
    const events = await this.#stream(jobStream(id))
    if (events.length > 0) return this.#prove(events, since, { job: id })
    await this.#options.queries.read(id)
    throw new JobUnknown(id)
  }

  /** As `proveJob`. */
  async proveEvent({ stream, revision }: EventPlace, since: string | undefined): Promise<string> {
    const event = (await this.#stream(stream)).find((each) => each.revision === revision)
    if (event !== undefined) return this.#prove([event], since, { event: { stream, revision } })
    throw new ProofUnavailable(`There is no event at revision ${revision} of stream ${stream}.`)
  }

  async #stream(stream: string): Promise<EventTexts[]> {
    const events: EventTexts[] = []
    for await (const page of textsOf(this.#options.log, { stream })) events.push(...page)
    return events
  }

  async #prove(events: readonly EventTexts[], since: string | undefined, filter: object): Promise<string> {
    const { log, digest, logId } = this.#options
    const hasher = new LeafHasher(digest.hash)
    const prover = await Prover.open(log, digest.hash)
    const covered = prover.covered(events)
    const places = await prover.inclusion(
      covered.map((event) => ({ leaf: hasher.hash(event), position: event.position })),
    )
    const later = events.length - covered.length
    const manifest = manifestLine({
      ...{ format: 'jobledger/1', kind: 'proof', logId },
      ...{ events: covered.length, streams: 1, from: covered[0]?.position ?? '', to: covered.at(-1)?.position ?? '' },
      filter: { ...filter },
      ...(later > 0 && { later }),
      ...(await prover.seal(since)),
    })
    const text = manifest + covered.map((event, index) => eventLine(event, places[index])).join('')
    return text + endLine(covered.length, digest.sha256(text))
  }
}
