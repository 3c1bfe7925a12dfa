/**
 * The three job types: `digest` reads a file, `manifest` gathers what a folder holds, `write` makes the checksum file.
 * Results flow up along the dependency edges; every one of them is in the ledger, so nothing is digested twice.
 */
import { createHash } from 'node:crypto'
import { constants, open } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { DependencyResult, JobContext, JobDefinition } from '../../index.js'
import { defineJob } from '../../index.js'
import { checksumLine, replaceFile } from './checksum-file.js'

export interface DigestPayload {
  readonly path: string
  readonly folder: string
  /** As the scan saw them. Another size or time is another job. */
  readonly size: number
  readonly mtimeMs: number
}

export interface Digest {
  readonly sha256: string
  readonly size: number
  readonly mtimeMs: number
}

const RETRIES = { maxAttempts: 3, backoff: { min: '100ms', max: '1s', jitter: 'none' } } as const

/** Neither through a link nor waiting for the writer of a FIFO, should the file have become one since the scan. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const CHUNK = 256 * 1024

export const digest: JobDefinition<DigestPayload, Digest> = defineJob({
  type: 'digest',
  ...RETRIES,
  // A disk image takes as long as it takes: the engine's heartbeats keep its lease.
  timeout: null,
  async handle({ path, folder, size, mtimeMs }: DigestPayload, ctx) {
    await using file = await open(join(folder, path), READ)
    const hash = createHash('sha256')
    const buffer = Buffer.allocUnsafe(Math.min(size + 1, CHUNK))
    for (;;) {
      ctx.signal.throwIfAborted()
      const { bytesRead } = await file.read(buffer)
      if (bytesRead === 0) break
      hash.update(buffer.subarray(0, bytesRead))
    }
    const after = await file.stat()
    if (!after.isFile() || after.size !== size || after.mtimeMs !== mtimeMs) throw new Error('changed since the scan')
    return { sha256: hash.digest('hex'), size, mtimeMs }
  },
})

/** One folder, or a slice of a large one. Its dependencies are the entries that are not skipped, in the same order. */
export interface ManifestPayload {
  readonly path: string
  readonly entries: readonly { readonly name: string; readonly skipped?: string }[]
}

/** What a `manifest` job found out about an entry. */
export type Line =
  | { readonly name: string; readonly sha256: string }
  /** A folder or a slice: the lines are in the result of that job. `troubled` when not all below it was digested. */
  | { readonly name: string; readonly manifest: string; readonly troubled: boolean }
  /** The job that failed for good. */
  | { readonly name: string; readonly failed: string }
  | { readonly name: string; readonly skipped: string }

/** Of everything below a folder. */
export interface Totals {
  readonly files: number
  readonly bytes: number
  readonly failed: number
  readonly skipped: number
}

export interface Manifest extends Totals {
  readonly path: string
  readonly lines: readonly Line[]
}

/** Only the folder's own entries: results would otherwise grow with the depth of the tree. */
export const manifest: JobDefinition<ManifestPayload, Manifest> = defineJob({
  type: 'manifest',
  ...RETRIES,
  async handle({ path, entries }: ManifestPayload, ctx) {
    const results = (await ctx.dependencies()).values()
    const lines: Line[] = []
    const totals = { files: 0, bytes: 0, failed: 0, skipped: 0 }
    for (const { name, skipped } of entries) {
      if (skipped === undefined) lines.push(gather(name, results.next().value as DependencyResult, totals))
      else {
        totals.skipped += 1
        lines.push({ name, skipped })
      }
    }
    return { path, lines, ...totals }
  },
})

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function gather(name: string, { id, outcome, result }: DependencyResult, totals: Mutable<Totals>): Line {
  if (outcome !== 'succeeded') {
    totals.failed += 1
    return { name, failed: id }
  }
  const found = result as Digest | Manifest
  if ('sha256' in found) {
    totals.files += 1
    totals.bytes += found.size
    return { name, sha256: found.sha256 }
  }
  for (const key of ['files', 'bytes', 'failed', 'skipped'] as const) totals[key] += found[key]
  return { name, manifest: id, troubled: found.failed + found.skipped > 0 }
}

export interface WritePayload {
  readonly out: string
}

/** Reads the result of a `manifest` job that has succeeded. */
export type ReadManifest = (id: string) => Promise<Manifest>

/** Its one dependency is the `manifest` of the whole tree, from which it walks down. */
export function defineWrite(read: ReadManifest): JobDefinition<WritePayload, Totals> {
  return defineJob({
    type: 'write',
    ...RETRIES,
    async handle({ out }: WritePayload, ctx: JobContext) {
      const [top] = await ctx.dependencies()
      const { id, result } = top as DependencyResult
      await replaceFile(out, texts(id, read), ctx.signal)
      const { files, bytes, failed, skipped } = result as Manifest
      return { files, bytes, failed, skipped }
    },
  })
}

/** The checksum file in pieces, in order: as each folder's lines are sorted, no more than one folder is in memory. */
async function* texts(id: string, read: ReadManifest): AsyncGenerator<string> {
  const { path, lines } = await read(id)
  let text = ''
  for (const line of lines) {
    if ('sha256' in line) text += checksumLine(line.sha256, posix.join(path, line.name))
    if (!('manifest' in line)) continue
    yield text
    text = ''
    yield* texts(line.manifest, read)
  }
  yield text
}
