/** Files of lines on the disk of this machine. */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { StoreUnavailable } from '../../runtime/ports/event-store.js'
import type { FileSeal, FindFile, Folder, Line } from '../../runtime/ports/segments.js'

export const findFile: FindFile = (path) => ({ folder: new NodeFolder(dirname(resolve(path))), name: basename(path) })

/** Characters that are handed on together. */
const CHUNK = 256 * 1024
/** What is not whole yet has a name of its own. */
const PARTIAL = '.partial'

export class NodeFolder implements Folder {
  readonly path: string

  constructor(path: string) {
    this.path = resolve(path)
  }

  async list(): Promise<string[]> {
    try {
      return await readdir(this.path)
    } catch (error) {
      if (isMissing(error)) return []
      throw this.#unavailable(this.path, error)
    }
  }

  async seal(name: string): Promise<FileSeal | undefined> {
    const hash = createHash('sha256')
    let bytes = 0
    try {
      for await (const chunk of createReadStream(join(this.path, name))) {
        hash.update(chunk as Buffer)
        bytes += (chunk as Buffer).length
      }
    } catch (error) {
      if (isMissing(error)) return undefined
      throw this.#unavailable(join(this.path, name), error)
    }
    return { sha256: hash.digest('hex'), bytes }
  }

  async *lines(name: string): AsyncGenerator<Line, void, undefined> {
    const path = join(this.path, name)
    const file = createReadStream(path)
    const plain = name.endsWith('.gz') ? file.pipe(createGunzip()) : file
    // A pipe does not hand an error on.
    file.on('error', (error) => plain.destroy(error))
    try {
      yield* linesOf(plain)
    } catch (error) {
      throw this.#unavailable(path, error)
    } finally {
      file.destroy()
      plain.destroy()
    }
  }

  async write(
    name: string,
    lines: Iterable<string> | AsyncIterable<string>,
    last: (sha256: string) => string,
  ): Promise<FileSeal> {
    const path = join(this.path, name)
    const partial = path + PARTIAL
    try {
      await mkdir(this.path, { recursive: true, mode: 0o700 })
      await rm(partial, { force: true })
      const seal = await this.#fill(partial, chunksOf(lines, last), name.endsWith('.gz'))
      await rename(partial, path)
      await flush(this.path)
      return seal
    } catch (error) {
      await rm(partial, { force: true }).catch(() => {})
      throw isOfSystem(error) ? this.#unavailable(path, error) : error
    }
  }

  async #fill(path: string, chunks: AsyncIterable<string>, compressed: boolean): Promise<FileSeal> {
    // Payloads are nobody else's business.
    const file = await open(path, 'wx', 0o600)
    const hash = createHash('sha256')
    let bytes = 0
    const store = async (pieces: AsyncIterable<string | Buffer>): Promise<void> => {
      for await (const piece of pieces) {
        const buffer = Buffer.from(piece as Buffer)
        hash.update(buffer)
        bytes += buffer.length
        await file.writeFile(buffer)
      }
    }
    try {
      if (compressed) await pipeline(Readable.from(chunks), createGzip(), store)
      else await store(chunks)
      await file.sync()
    } finally {
      await file.close()
    }
    return { sha256: hash.digest('hex'), bytes }
  }

  async remove(name: string): Promise<void> {
    const path = join(this.path, name)
    for (const file of [path, path + PARTIAL]) await rm(file, { force: true })
    await flush(this.path)
  }

  #unavailable(path: string, cause: unknown): StoreUnavailable {
    return new StoreUnavailable(`${path}: ${cause instanceof Error ? cause.message : cause}.`, { cause })
  }
}

async function* chunksOf(
  lines: Iterable<string> | AsyncIterable<string>,
  last: (sha256: string) => string,
): AsyncGenerator<string, void, undefined> {
  const hash = createHash('sha256')
  let held = ''
  for await (const line of lines) {
    held += line
    if (held.length < CHUNK) continue
    hash.update(held)
    yield held
    held = ''
  }
  hash.update(held)
  yield held + last(hash.digest('hex'))
}

async function* linesOf(plain: AsyncIterable<Buffer>): AsyncGenerator<Line, void, undefined> {
  const hash = createHash('sha256')
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of plain) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    let start = 0
    for (let end = held.indexOf(10); end !== -1; end = held.indexOf(10, start)) {
      const line = held.subarray(start, end + 1)
      yield lineOf(line.subarray(0, -1), hash)
      hash.update(line)
      start = end + 1
    }
    held = held.subarray(start)
  }
  if (held.length > 0) yield lineOf(held, hash)
}

const lineOf = (bytes: Buffer, hash: Hash): Line => ({
  text: bytes.toString(),
  before: () => hash.copy().digest('hex'),
})

/** So that a power cut does not take the name. */
async function flush(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? ''
const isMissing = (error: unknown): boolean => codeOf(error) === 'ENOENT'
/** Not what the lines themselves have thrown. */
const isOfSystem = (error: unknown): boolean => /^(E[A-Z]+|Z_|ERR_)/.test(codeOf(error)) && error instanceof Error
