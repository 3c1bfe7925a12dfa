/** A ledger in a file with two checkpoints, of which the first is held by somebody else; and hands that reach into the file. */
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { nodeDigest } from '../../adapters/node/digest.js'
import { nodeSignatures } from '../../adapters/node/signatures.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { signerText, verifierKey, verifierText } from '../../domain/audit/note.js'
import type { AuditOptions } from '../../runtime/audit/options.js'
import type { AuditReport } from '../../runtime/audit/verifier.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import { defineJob } from '../../runtime/work/run/definition.js'

/** The same in every run: only what is signed is looked at. */
export function keyOf(name: string, byte: number): { readonly secret: string; readonly key: string } {
  const seed = new Uint8Array(32).fill(byte)
  const key = verifierKey(nodeDigest.hash, name, nodeSignatures.publicKeyOf(seed))
  return { secret: signerText(key, seed), key: verifierText(key) }
}

export const OWN: ReturnType<typeof keyOf> = keyOf('example.com/jobs', 1)
export const audit: AuditOptions = { key: OWN.secret, every: false }

export const mail: JobDefinition<{ to: string }, { sent: string }> = defineJob({
  type: 'mail',
  maxAttempts: 1,
  handle: async ({ to }: { to: string }) => {
    if (to === 'nobody') throw new Error('no such address')
    return { sent: to }
  },
})

async function runJobs(ledger: Ledger, ids: readonly string[]): Promise<void> {
  await ledger.start()
  for (const id of ids) {
    const { result } = await ledger.enqueue(mail, { to: id === 'b' ? 'nobody' : `${id}@example.com` }, { id })
    await result().catch(() => {})
  }
  await ledger.stop()
}

export interface Kept {
  readonly path: string
  /** Notes of the checkpoints, oldest first. */
  readonly notes: readonly string[]
}

export async function twoCheckpoints(folder: string): Promise<Kept> {
  const path = join(folder, 'kept.db')
  return { path, notes: await twoCheckpointsAt(`sqlite:${path}`) }
}

/** Jobs a, b, c; a checkpoint; d, e; a checkpoint. Answers with their notes. */
export async function twoCheckpointsAt(url: string): Promise<readonly string[]> {
  const ledger = await openLedger({ url, jobs: [mail], audit })
  await runJobs(ledger, ['a', 'b', 'c'])
  const first = await ledger.audit.checkpoint()
  await runJobs(ledger, ['d', 'e'])
  const second = await ledger.audit.checkpoint()
  await ledger.close()
  return [first.note, second.note]
}

/** A copy of it, changed by hand, as `verify` sees it. */
export async function tampered(
  { path, notes }: Kept,
  change: (db: Database.Database) => void,
  held: readonly string[] = notes.slice(0, 1),
): Promise<AuditReport> {
  const copy = `${path}-tampered`
  await copyFile(path, copy)
  try {
    const db = new Database(copy)
    change(db)
    db.close()
    const ledger = await openLedger({ url: `sqlite:${copy}` })
    const report = await ledger.audit.verify({ held, keys: [OWN.key] })
    await ledger.close()
    return report
  } finally {
    for (const end of ['', '-wal', '-shm', '-views', '-views-wal', '-views-shm']) await rm(copy + end, { force: true })
  }
}
