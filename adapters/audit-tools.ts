/** What an auditor needs no ledger for: keys, and files that left one, as they are or compressed. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import { readLine } from '../domain/audit/bundle.js'
import { signerText, toKeyName, verifierKey, verifierText } from '../domain/audit/note.js'
import { BundleCheck, type BundleReport } from '../runtime/audit/bundle-check.js'
import type { AuditFinding } from '../runtime/audit/findings.js'
import { toHeld, toKeys } from '../runtime/audit/signer.js'
import { SliceLocator } from '../runtime/audit/slice-locator.js'
import { nodeDigest } from './node/digest.js'
import { nodeSignatures } from './node/signatures.js'

/** A new key: the text of the private one, and that of the public one. Throws InvalidOption. */
export function newKey(name: string): { readonly secret: string; readonly key: string } {
  const seed = nodeSignatures.generate()
  const key = verifierKey(nodeDigest.hash, toKeyName(name, '--name'), nodeSignatures.publicKeyOf(seed))
  return { secret: signerText(key, seed), key: verifierText(key) }
}

/** The first two bytes of what gzip writes. */
const GZIP = 0x1f8b

export interface BundleFileOptions {
  readonly held: readonly string[]
  readonly keys?: readonly string[] | undefined
  readonly signal?: AbortSignal
  readonly onProgress?: (lines: number) => void
}

const LINES_A_WORD = 10_000

/** Throws BundleUnreadable, NoteUnreadable, InvalidOption, and what reading the file throws. */
export async function checkBundleFile(path: string, options: BundleFileOptions): Promise<BundleReport> {
  const tools = { digest: nodeDigest, signatures: nodeSignatures }
  const keys = toKeys(options.keys, '--key', tools)
  const check = new BundleCheck(tools, { held: options.held.map(toHeld), keys })
  const before = createHash('sha256')
  let lines = 0
  for await (const line of linesOf(path)) {
    options.signal?.throwIfAborted()
    check.line(line.toString('utf8'), () => before.copy().digest('hex'))
    before.update(line)
    lines += 1
    if (lines % LINES_A_WORD === 0) options.onProgress?.(lines)
  }
  const report = check.report()
  const slice = check.differing
  if (slice === undefined) return report
  const located = await locatedIn(path, new SliceLocator(nodeDigest.hash, check.kept, slice), options.signal)
  return { ...report, findings: [...report.findings, ...located] }
}

/** The file once more, of which the root has said only that it differs. */
async function locatedIn(
  path: string,
  locator: SliceLocator,
  signal: AbortSignal | undefined,
): Promise<readonly AuditFinding[]> {
  let lines = 0
  for await (const line of linesOf(path)) {
    signal?.throwIfAborted()
    lines += 1
    if (lines > 1) locator.line(readLine(line.toString('utf8'), lines))
  }
  return locator.findings
}

/** Each with its line feed; the last as it is. */
async function* linesOf(path: string): AsyncGenerator<Buffer> {
  const isGzip = await isCompressed(path)
  const file = createReadStream(path)
  const source = isGzip ? file.pipe(createGunzip()) : file
  file.on('error', (error) => source.destroy(error))
  let held: Buffer[] = []
  for await (const chunk of source as AsyncIterable<Buffer>) {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      yield Buffer.concat([...held, chunk.subarray(start, end + 1)])
      held = []
      start = end + 1
    }
    if (start < chunk.length) held.push(chunk.subarray(start))
  }
  if (held.length > 0) yield Buffer.concat(held)
}

async function isCompressed(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(2), 0, 2, 0)
    return bytesRead === 2 && buffer.readUInt16BE() === GZIP
  } finally {
    await file.close()
  }
}
