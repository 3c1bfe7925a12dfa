/** What is there to digest? Looks at names, sizes and times only; the files themselves are read by jobs. */
import { isUtf8 } from 'node:buffer'
import type { Dirent, Stats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'

/** `path` is relative to the folder that was scanned, '' for that folder itself. */
export interface File {
  readonly kind: 'file'
  readonly name: string
  readonly path: string
  readonly size: number
  readonly mtimeMs: number
}

export interface Folder {
  readonly kind: 'folder'
  readonly name: string
  readonly path: string
  /** In the order of the manifest. */
  readonly entries: readonly Entry[]
}

/** Part of the tree, but not of the manifest. */
export interface Skipped {
  readonly kind: 'skipped'
  readonly name: string
  readonly why: string
}

export type Entry = File | Folder | Skipped

export interface ScanOptions {
  /** Absolute paths that are no part of the tree: the manifest cannot contain its own digest. */
  readonly leaveOut: ReadonlySet<string>
  readonly signal: AbortSignal
}

export async function scan(root: string, options: ScanOptions): Promise<Folder> {
  return { kind: 'folder', name: '', path: '', entries: await entriesOf(root, '', options) }
}

async function entriesOf(root: string, path: string, options: ScanOptions): Promise<Entry[]> {
  options.signal.throwIfAborted()
  const dirents = await readdir(join(root, path), { withFileTypes: true, encoding: 'buffer' })
  const found = dirents.sort(inManifestOrder).map((dirent) => look(root, path, dirent, options.leaveOut))
  const entries: Entry[] = []
  // One folder after the other: a tree of a million files must not ask for all of them at once.
  for (const entry of await Promise.all(found)) {
    if (entry === undefined) continue
    entries.push(entry.kind === 'folder' ? await descend(root, entry, options) : entry)
  }
  return entries
}

/** A folder that cannot be listed goes on as if it were a file: its digest fails, so it is reported and tried again. */
async function descend(root: string, folder: Folder, options: ScanOptions): Promise<Folder | File> {
  try {
    return { ...folder, entries: await entriesOf(root, folder.path, options) }
  } catch {
    options.signal.throwIfAborted()
    return { kind: 'file', name: folder.name, path: folder.path, ...UNKNOWN }
  }
}

const SLASH = Buffer.from('/')

/** By the bytes of the whole path: a folder sorts as its name and the slash that follows it in every path below it. */
function inManifestOrder(a: Dirent<Buffer>, b: Dirent<Buffer>): number {
  return Buffer.compare(sortKey(a), sortKey(b))
}

function sortKey(dirent: Dirent<Buffer>): Buffer {
  return dirent.isDirectory() ? Buffer.concat([dirent.name, SLASH]) : dirent.name
}

/** undefined: not part of the tree, or gone since its folder was read. A folder is still without its entries. */
async function look(
  root: string,
  parent: string,
  dirent: Dirent<Buffer>,
  leaveOut: ReadonlySet<string>,
): Promise<Entry | undefined> {
  if (!isUtf8(dirent.name)) return { kind: 'skipped', name: showBytes(dirent.name), why: 'name is not UTF-8' }
  const name = dirent.name.toString()
  const path = posix.join(parent, name)
  if (leaveOut.has(join(root, path))) return undefined
  if (dirent.isDirectory()) return { kind: 'folder', name, path, entries: [] }
  const why = whySkipped(dirent)
  if (why !== undefined) return { kind: 'skipped', name, why }
  return sizeAndTime(join(root, path)).then((stats) => stats && { kind: 'file', name, path, ...stats })
}

function whySkipped(dirent: Dirent<Buffer>): string | undefined {
  if (dirent.isFile()) return undefined
  if (dirent.isSymbolicLink()) return 'symbolic link'
  if (dirent.isFIFO()) return 'FIFO'
  if (dirent.isSocket()) return 'socket'
  return 'device'
}

type SizeAndTime = Pick<Stats, 'size' | 'mtimeMs'>

/** Of what cannot be looked at; the job that reads it will say why. */
const UNKNOWN: SizeAndTime = { size: 0, mtimeMs: 0 }

async function sizeAndTime(path: string): Promise<SizeAndTime | undefined> {
  try {
    const { size, mtimeMs } = await lstat(path)
    return { size, mtimeMs }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : UNKNOWN
  }
}

/** Bytes that are not UTF-8, for people to read: `caf\xe9`. */
function showBytes(name: Buffer): string {
  return name.toString('latin1').replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
