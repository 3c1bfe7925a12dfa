/**
 * From a tree of files to a tree of jobs. A job's id is a hash of what it is to do: a file's path, size and time, a
 * folder's entries and the ids of their jobs (a Merkle tree). So the job of anything that has not changed is in the ledger
 * already, with its result, and one look at a folder's job answers for everything below it.
 */
import { createHash } from 'node:crypto'
import type { EnqueueOptions, JobDefinition } from '../../index.js'
import type { DigestPayload, ManifestPayload, Totals, WritePayload } from './jobs.js'
import { digest, manifest } from './jobs.js'
import type { Entry, File, Folder } from './scan.js'

/** A job as it can be enqueued, with those it depends on. */
export interface PlannedJob<Payload, Result> {
  readonly job: JobDefinition<Payload, Result>
  readonly payload: Payload
  readonly options: EnqueueOptions & { readonly id: string }
  readonly needs: readonly Planned[]
}

export type Planned = PlannedJob<unknown, unknown>

/**
 * Entries of one job at most. Larger folders are cut into slices, so that payloads and results stay below 1 MiB however
 * long the names and however many the files.
 */
const SLICE = 500

export class Planner {
  readonly #folder: string
  readonly #queue: string
  readonly #spent: ReadonlySet<string>
  /** Of every job planned so far. */
  readonly ids: Set<string> = new Set()

  /** `spent`: ids of jobs that failed or were cancelled. */
  constructor(options: { readonly folder: string; readonly queue: string; readonly spent: ReadonlySet<string> }) {
    this.#folder = options.folder
    this.#queue = options.queue
    this.#spent = options.spent
  }

  /** The `manifest` job of a folder, and with it all jobs below. */
  folder({ path, entries }: Folder): Planned {
    return this.#gather(
      path,
      entries.map((entry) => this.#entry(entry)),
    )
  }

  /** Makes the checksum file of the folder that `top` is the `manifest` job of. */
  write(top: Planned, job: JobDefinition<WritePayload, Totals>, out: string): PlannedJob<WritePayload, Totals> {
    const id = `write:${shortHash(JSON.stringify([top.options.id, out]))}`
    this.ids.add(id)
    const dependsOn = [{ id: top.options.id, otherwise: 'cancel' } as const]
    return { job, payload: { out }, options: { id, ...this.#labels(out), dependsOn }, needs: [top] }
  }

  #entry(entry: Entry): Part {
    const { name } = entry
    if (entry.kind === 'skipped') return { name, skipped: entry.why }
    return { name, job: entry.kind === 'file' ? this.#file(entry) : this.folder(entry) }
  }

  #gather(path: string, parts: readonly Part[]): Planned {
    if (parts.length <= SLICE) return this.#manifest(path, parts)
    const slices: Part[] = []
    for (let at = 0; at < parts.length; at += SLICE) {
      slices.push({ name: '', job: this.#manifest(path, parts.slice(at, at + SLICE)) })
    }
    return this.#gather(path, slices)
  }

  #manifest(path: string, parts: readonly Part[]): Planned {
    const needs = parts.flatMap(({ job }) => job ?? [])
    const payload: ManifestPayload = { path, entries: parts.map(({ job, ...entry }) => entry) }
    // A folder is reported also when some of it could not be digested.
    const dependsOn = needs.map(({ options: { id } }) => ({ id, on: 'finished', otherwise: 'run' }) as const)
    const id = this.#id('manifest', [this.#folder, payload, dependsOn.map((edge) => edge.id)])
    return { job: manifest, payload, options: { id, ...this.#labels(path), dependsOn }, needs }
  }

  #file({ path, size, mtimeMs }: File): Planned {
    const payload: DigestPayload = { path, folder: this.#folder, size, mtimeMs }
    return { job: digest, payload, options: { id: this.#id('digest', payload), ...this.#labels(path) }, needs: [] }
  }

  #labels(path: string): Pick<EnqueueOptions, 'queue' | 'name'> {
    return { queue: this.#queue, name: path.slice(-200) || '.' }
  }

  /** What once failed or was cancelled stays so in the ledger; it is asked for anew under the next number. */
  #id(type: string, content: unknown): string {
    const base = `${type}:${shortHash(JSON.stringify(content))}`
    let id = base
    for (let round = 2; this.#spent.has(id); round += 1) id = `${base}:${round}`
    this.ids.add(id)
    return id
  }
}

/** An entry of a folder; a slice has no name of its own. */
interface Part {
  readonly name: string
  readonly skipped?: string
  readonly job?: Planned
}

/** 128 bits: short enough to type, long enough never to meet another. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
