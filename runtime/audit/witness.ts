/**
 * A proof or an export that somebody has kept. A note says only that something before it was written anew; whoever has the events
 * as they were can name which.
 */
import { readLine } from '../../domain/audit/bundle.js'
import { isLeaf, LeafHasher } from '../../domain/audit/leaf.js'
import type { VerifierKey } from '../../domain/audit/note.js'
import type { EventTexts } from '../../domain/event.js'
import type { LogReader } from '../ports/event-store.js'
import type { FindFile, Folder } from '../ports/segments.js'
import { entriesOf, textsOf } from '../read/texts.js'
import { BundleCheck } from './bundle-check.js'
import type { AuditFinding } from './findings.js'
import { placeOf, wordsOf } from './findings.js'
import { LeafSet } from './leaf-set.js'
import type { RemovedStreams } from './removed-streams.js'
import type { Held, KeyTools } from './signer.js'
import { toHeld } from './signer.js'

/** More of them say nothing more. */
const MOST = 1_000

export interface WitnessFile {
  readonly folder: Folder
  readonly name: string
}

export class Witness {
  readonly #file: WitnessFile
  readonly #hasher: LeafHasher
  readonly #leaves = new LeafSet()
  /** What is wrong with the file itself: then nothing is believed of it. */
  readonly #findings: readonly AuditFinding[]
  /** Its checkpoint, which is held with it. */
  readonly held: Held | undefined
  #seen = new Uint8Array(0)

  private constructor(file: WitnessFile, { digest }: KeyTools, check: BundleCheck, checkpoint: string | undefined) {
    this.#file = file
    this.#hasher = new LeafHasher(digest.hash)
    this.#findings = check.report().findings
    if (checkpoint !== undefined && this.isSound) this.held = toHeld(checkpoint)
  }

  /** Reads all of it. Throws StoreUnavailable, BundleUnreadable, NoteUnreadable. */
  static async read(file: WitnessFile, tools: KeyTools, keys: readonly VerifierKey[] | undefined): Promise<Witness> {
    const check = new BundleCheck(tools, { held: [], keys })
    for await (const { text, before } of file.folder.lines(file.name)) check.line(text, before)
    const witness = new Witness(file, tools, check, check.note)
    if (witness.isSound) for await (const event of witness.#events()) witness.#leaves.add(witness.#hasher.hash(event))
    witness.#leaves.close()
    witness.#seen = new Uint8Array(witness.#leaves.size)
    return witness
  }

  get isSound(): boolean {
    return this.#findings.length === 0
  }

  see(leaf: Uint8Array): void {
    const at = this.#leaves.indexOf(leaf)
    if (at !== -1) this.#seen[at] = 1
  }

  /** Once all of the log was seen. */
  async findings(log: LogReader, removed: RemovedStreams, isWhole: boolean): Promise<AuditFinding[]> {
    const found = this.#findings.map(
      ({ message }): AuditFinding => ({ kind: 'record', message: `${this.#file.name}, which is held: ${message}` }),
    )
    for await (const event of this.#events()) {
      const leaf = this.#hasher.hash(event)
      const at = this.#leaves.indexOf(leaf)
      if (at === -1 || this.#seen[at] === 1 || removed.leaves.has(leaf) || removed.lost.has(leaf)) continue
      const isThere = await has(log, event)
      // It may lie in a file that is missing.
      if (!isThere && !isWhole) continue
      const what = isThere ? 'is not what it was' : 'is gone, and nothing on record says why: it is'
      const message = `${wordsOf(event)} ${what} in ${this.#file.name}, which is held`
      found.push({ kind: isThere ? 'changed' : 'dropped', message, ...placeOf(event) })
      if (found.length === MOST) break
    }
    return found
  }

  async *#events(): AsyncGenerator<EventTexts, void, undefined> {
    let number = 0
    for await (const { text } of this.#file.folder.lines(this.#file.name)) {
      number += 1
      const line = number === 1 ? undefined : readLine(text, number)
      if (line?.kind === 'event' && isLeaf(line.event)) yield line.event
    }
  }
}

async function has(log: LogReader, { stream, revision }: EventTexts): Promise<boolean> {
  for await (const page of textsOf(log, { stream })) if (page.some((event) => event.revision === revision)) return true
  return false
}

/** Shows them the whole log. */
export async function showAll(
  witnesses: readonly Witness[],
  log: LogReader,
  { digest }: KeyTools,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hasher = new LeafHasher(digest.hash)
  const leaf = new Uint8Array(32)
  for await (const entries of witnesses.length === 0 ? [] : entriesOf(log)) {
    signal?.throwIfAborted()
    while (entries.next()) {
      hasher.entry(entries, leaf, 0)
      for (const witness of witnesses) witness.see(leaf)
    }
  }
}

/** Throws what `Witness.read` throws. */
export const readWitnesses = (
  paths: readonly string[],
  files: FindFile,
  tools: KeyTools,
  keys: readonly VerifierKey[] | undefined,
): Promise<Witness[]> => Promise.all(paths.map((path) => Witness.read(files(path), tools, keys)))
