/** Kept checkpoints as bytes: a line for the texts, a line for each row, compressed. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createGunzip, createGzip } from 'node:zlib'
import type { KeptContent } from '../../runtime/ports/views.js'
import { PAGE_SIZE } from './pages.js'

/** Rows made before the event loop is let go: less than 1 ms. */
const SLICE = 300
/** Bytes of a part: writing one holds nobody up. */
const PART = 256 * 1024

/** Parts of about equal size. The compressing itself is done beside the event loop. */
export async function* pack(content: KeptContent<Iterable<string>>): AsyncIterable<Uint8Array> {
  // How well it packs matters less than how long it takes.
  const gzip = createGzip({ level: 1 })
  const feeding = pipeline(Readable.from(slices(content)), gzip)
  // Whoever reads is told.
  feeding.catch(() => {})
  let waiting: Uint8Array[] = []
  let size = 0
  for await (const chunk of gzip as AsyncIterable<Uint8Array>) {
    waiting.push(chunk)
    size += chunk.length
    if (size < PART) continue
    yield Buffer.concat(waiting)
    waiting = []
    size = 0
  }
  await feeding
  if (size > 0) yield Buffer.concat(waiting)
}

async function* slices({ texts, rows }: KeptContent<Iterable<string>>): AsyncIterable<string> {
  let slice = [JSON.stringify([...texts])]
  for (const row of rows) {
    slice.push(row)
    if (slice.length < SLICE) continue
    yield `${slice.join('\n')}\n`
    slice = []
    await nextTurn()
  }
  if (slice.length > 0) yield `${slice.join('\n')}\n`
}

/** Takes apart what `pack` gave. Fails for bytes that are not whole. */
export async function unpack(parts: Iterable<Uint8Array>): Promise<KeptContent<AsyncIterable<string[]>>> {
  const lines = pagesOfLines(Readable.from(parts).pipe(createGunzip()))
  const first = (await lines.next()).value ?? []
  const [texts = '[]', ...rows] = first
  return { texts: new Map(JSON.parse(texts) as [string, string][]), rows: withFirst(rows, lines) }
}

async function* withFirst(first: string[], rest: AsyncIterable<string[]>): AsyncIterable<string[]> {
  if (first.length > 0) yield first
  yield* rest
}

async function* pagesOfLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string[], undefined> {
  const decoder = new TextDecoder()
  let page: string[] = []
  let rest = ''
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) page.push(line)
    if (page.length < PAGE_SIZE) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
  return undefined
}
