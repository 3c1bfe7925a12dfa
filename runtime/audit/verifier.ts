/** Whether the log still is what was signed of it. */
import { toBase64 } from '../../domain/audit/encoding.js'
import { type Entries, textsAt } from '../../domain/audit/entries.js'
import { HASH_BYTES, type isLeafEntry, LeafHasher } from '../../domain/audit/leaf.js'
import type { VerifierKey } from '../../domain/audit/note.js'
import { parseNote, parseVerifierKey } from '../../domain/audit/note.js'
import { InvalidOption } from '../../domain/errors.js'
import type { EventTexts, Position } from '../../domain/event.js'
import type { Archive } from '../archive/archive.js'
import type { LogReader } from '../ports/event-store.js'
import { entriesOf } from '../read/texts.js'
import { Alignment } from './alignment.js'
import type { AuditFinding, Named } from './findings.js'
import { leavesWords, placeOf, wordsOf } from './findings.js'
import { Locator } from './locator.js'
import { Losses } from './losses.js'
import type { Reckoning } from './reckoning.js'
import { keptLeaves, Reckoner } from './reckoning.js'
import { Redactions } from './redactions.js'
import type { RemovedStreams } from './removed-streams.js'
import type { Held, KeyTools } from './signer.js'
import { signedBy } from './signer.js'
import { entryFilter, leafFilter } from './trail.js'
import { showAll, type Witness } from './witness.js'

export interface VerifyProgress {
  readonly events: number
  /** Leaves that the last checkpoint has. */
  readonly of: number
}

export interface VerifyRequest {
  readonly held: readonly Held[]
  /** Files that somebody has kept; each is read anew, and has a checkpoint of its own. */
  readonly witnesses?: readonly Witness[]
  /** undefined: those that the log itself names, which proves nothing about who has signed. */
  readonly keys: readonly VerifierKey[] | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
}

export interface AuditReport {
  readonly ok: boolean
  /** At most 1,000 of them, in the order of the log. */
  readonly findings: readonly AuditFinding[]
  /** How many there are. */
  readonly found: number
  /** What the last signed checkpoint says; absent where there is none. */
  readonly origin?: string
  readonly root?: string
  /** Leaves that it covers. */
  readonly size: number
  readonly checkpoints: number
  /** Checkpoints held by somebody else that the log was compared with. */
  readonly held: number
  /** `held`: a checkpoint that somebody else holds. `keys`: keys given. `log`: nothing but what the log says of itself. */
  readonly relativeTo: 'held' | 'keys' | 'log'
  /** Public keys of the signatures. */
  readonly keys: readonly string[]
  /** Events that were compared with their kept leaves. */
  readonly events: number
  /** Events since the last checkpoint, of which nothing can be said yet. */
  readonly unsealed: number
  /** Events that are gone and of which the log says so, and how often it does. */
  readonly removed: number
  readonly removals: number
  /** Bodies that were erased. */
  readonly erased: number
  /** Events that cannot be checked, for files of the archive are missing or damaged. */
  readonly missing: number
}

type Check = (note: string, where: EventTexts) => AuditFinding | undefined

const MOST = 1_000

export class Verifier {
  readonly #archive: Pick<Archive, 'readable'>
  readonly #tools: KeyTools
  readonly #lingers: boolean

  /** `lingers`: a stream that was removed may be shown for a while, or a part of it. */
  constructor(archive: Pick<Archive, 'readable'>, tools: KeyTools, lingers: boolean) {
    this.#archive = archive
    this.#tools = tools
    this.#lingers = lingers
  }

  /** Rejects with the signal's reason, and the store's errors. */
  async verify({ witnesses = [], ...given }: VerifyRequest): Promise<AuditReport> {
    const request = { ...given, held: [...given.held, ...witnesses.flatMap(({ held }) => held ?? [])] }
    const { hash } = this.#tools.digest
    const { log, lost, isLost } = await this.#archive.readable()
    const losses = new Losses(lost)
    const check: Check = (note, where) => this.#unsigned(note, where, request.keys)
    const reckoner = new Reckoner(hash, request.held, check, losses.isNone ? undefined : isLost)
    const reckoning = await reckoner.read(log, request.signal)
    const { last, keys, checkpoints, base } = reckoning
    const size = reckoning.tree.size
    const walk = new Walk(log, reckoning, reckoner, await entryFilter(log, this.#lingers), this.#tools)
    await walk.run(request)
    const isAll = walk.fits && losses.isNone
    const located = isAll ? undefined : await this.#locate({ log, reckoning, losses }, request.signal)
    await showAll(witnesses, log, this.#tools, request.signal)
    const testified = await Promise.all(
      witnesses.map((witness) => witness.findings(log, reckoning.removed, losses.isNone)),
    )
    const findings = [
      ...this.#heldFindings(request, reckoning),
      ...losses.findings(base.size),
      ...reckoner.findings,
      ...(located?.findings ?? reckoning.removed.findings(this.#lingers)),
      ...walk.redactions.findings.filter(({ stream }) => !losses.mayTellOf(stream)),
      ...tooLong(request.held, reckoning, walk, losses.isNone),
      ...testified.flat().filter((each) => !located?.findings.some((other) => isSame(each, other))),
    ]
    const counted = losses.isNone ? undefined : located
    return {
      ...{ ok: findings.length === 0, findings: findings.slice(0, MOST), found: findings.length },
      ...(last !== undefined && { origin: last.origin, root: toBase64(last.root) }),
      ...{ size, checkpoints, held: request.held.length, keys },
      relativeTo: request.held.length > 0 ? 'held' : request.keys === undefined ? 'log' : 'keys',
      ...{ events: counted?.compared ?? walk.events, unsealed: counted?.unsealed ?? walk.unsealed },
      ...{ removed: counted?.gone ?? walk.removed, removals: reckoning.removals },
      ...{ erased: walk.redactions.erased, missing: losses.count + base.size },
    }
  }

  async #locate(world: Parameters<typeof Locator.locate>[0], signal: AbortSignal | undefined): Promise<Locator> {
    const isOne = await leafFilter(world.log, this.#lingers)
    return Locator.locate(world, isOne, this.#tools.digest.hash, signal)
  }

  #unsigned(note: string, where: EventTexts, keys: readonly VerifierKey[] | undefined): AuditFinding | undefined {
    const believed = keys ?? this.#keyOf(where)
    if (signedBy(parseNote(note), believed, this.#tools) !== undefined) return undefined
    const by = keys === undefined ? 'the key that it names' : 'any of the keys given'
    return { kind: 'signature', message: `${wordsOf(where)} was not signed with ${by}`, ...placeOf(where) }
  }

  #keyOf({ data }: EventTexts): VerifierKey[] {
    return this.#readKeys([(JSON.parse(data) as { key: string }).key])
  }

  #readKeys(texts: readonly string[]): VerifierKey[] {
    return texts.flatMap((text) => {
      try {
        return [parseVerifierKey(this.#tools.digest.hash, text, 'key')]
      } catch (error) {
        if (error instanceof InvalidOption) return []
        throw error
      }
    })
  }

  #heldFindings({ held, keys }: VerifyRequest, { last, keys: named }: Reckoning): AuditFinding[] {
    const believed = keys ?? this.#readKeys(named)
    return held.flatMap(({ note, checkpoint }): AuditFinding[] => {
      const { origin, size } = checkpoint
      const name = `the checkpoint held of ${size} leaves`
      if (last !== undefined && origin !== last.origin) {
        const message = `${name} is of ${JSON.stringify(origin)}, those of this log are of ${JSON.stringify(last.origin)}`
        return [{ kind: 'record', message }]
      }
      if (signedBy(parseNote(note), believed, this.#tools) !== undefined) return []
      const by = keys === undefined ? 'any key that this log names' : 'any of the keys given'
      return [{ kind: 'signature', message: `${name} was not signed with ${by}` }]
    })
  }
}

const isSame = (a: AuditFinding, b: AuditFinding): boolean => a.stream === b.stream && a.revision === b.revision

/** A checkpoint that covers more than there is: the end of the log is gone, or nobody can say. */
function tooLong(held: readonly Held[], { tree }: Reckoning, { fits, last }: Walk, isWhole: boolean): AuditFinding[] {
  const longest = Math.max(0, ...held.map(({ checkpoint }) => checkpoint.size))
  if (longest <= tree.size) return []
  const leaves = { from: tree.size, to: longest - 1 }
  const gone = `${leavesWords(leaves.from, leaves.to)} of the checkpoint held`
  const end = last === undefined ? 'the log is empty' : `the log ends with ${wordsOf(last)}`
  const message = fits ? `${gone} are gone: ${end}` : `${gone} cannot be looked for: what is before them differs`
  return [{ kind: isWhole ? 'truncated' : 'missing', message, leaves, ...(last && placeOf(last)) }]
}

/** Once through the log. */
class Walk {
  readonly #log: LogReader
  readonly #alignment: Alignment
  readonly #removed: RemovedStreams
  readonly #isOne: typeof isLeafEntry
  readonly #reckoner: Reckoner
  readonly #hasher: LeafHasher
  readonly #size: number
  /** Of the event at hand. */
  readonly #leaf = new Uint8Array(HASH_BYTES)
  readonly #after: Position
  readonly redactions = new Redactions()
  fits = true
  events = 0
  unsealed = 0
  last: Named | undefined

  constructor(
    log: LogReader,
    reckoning: Reckoning,
    reckoner: Reckoner,
    isOne: typeof isLeafEntry,
    { digest }: KeyTools,
  ) {
    this.#log = log
    this.#alignment = new Alignment(keptLeaves(log, reckoning.ranges), reckoning.removed.leaves)
    this.#removed = reckoning.removed
    this.#isOne = isOne
    this.#reckoner = reckoner
    this.#hasher = new LeafHasher(digest.hash)
    this.#size = reckoning.tree.size
    this.#after = reckoning.base.end
  }

  get removed(): number {
    return this.#alignment.gone
  }

  async run({ signal, onProgress }: VerifyRequest): Promise<void> {
    for await (const entries of entriesOf(this.#log, { after: this.#after })) {
      signal?.throwIfAborted()
      let last = -1
      while (entries.next()) {
        if (!this.#isOne(entries)) continue
        last = entries.from
        this.redactions.followEntry(entries)
        if (this.fits) this.fits = this.#matches(entries) || (await this.#more())
      }
      if (last !== -1) this.last = textsAt(entries.bytes, last)
      onProgress?.({ events: this.events + this.unsealed, of: this.#size })
    }
    if (this.fits) this.fits = await this.#alignment.takeRest()
  }

  /** False: it differs, or what it is to be compared with is not at hand. */
  #matches(entry: Entries): boolean {
    this.#hasher.entry(entry, this.#leaf, 0)
    this.#removed.meet(entry, this.#leaf)
    if (this.#alignment.take(this.#leaf) !== 'same') return false
    this.events += 1
    return true
  }

  /** False: it differs. What the last checkpoint does not have may still be in one that is held. */
  async #more(): Promise<boolean> {
    let found = await this.#alignment.find(this.#leaf)
    // Somebody may have removed jobs since the audit stream was read.
    while (found === 'other' && (await this.#removed.refresh(this.#log))) found = await this.#alignment.find(this.#leaf)
    if (found === 'same') this.events += 1
    if (found !== 'spent') return found === 'same'
    this.unsealed += 1
    this.#reckoner.push(this.#leaf)
    return true
  }
}
