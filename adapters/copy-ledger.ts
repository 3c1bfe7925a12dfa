import { Archive } from '../runtime/archive/archive.js'
import { type Copied, type CopyProgress, copyLog } from '../runtime/copy/copy.js'
import { CopyImpossible } from '../runtime/copy/errors.js'
import { storeSource } from '../runtime/copy/source.js'
import { openBundle } from '../runtime/export/bundle-source.js'
import type { EventStore, LogReader } from '../runtime/ports/event-store.js'
import type { Logger } from '../runtime/ports/logger.js'
import { systemClock } from './node/clock.js'
import { nodeDigest } from './node/digest.js'
import { findFile, NodeFolder } from './node/folder.js'
import { openStorageAt, type Storage } from './open-ledger.js'
import { archiveBeside } from './shared/urls.js'

export interface CopyLedgerOptions {
  /** URLs. The target is made where there is none; its views are built by whoever opens it first. */
  readonly from: string
  readonly to: string
  /** Where the archive of `from` is, unless it is beside it. What lies there comes along, and is in the log of the copy. */
  readonly archive?: string
  readonly logger: Logger
  readonly signal: AbortSignal
  readonly onProgress?: (progress: CopyProgress) => void
}

/** Copies a log from one store to another; see `copyLog`. */
export async function copyLedger({ from, to, archive, ...rest }: CopyLedgerOptions): Promise<Copied> {
  const unreadable: string[] = []
  const options = { logger: rest.logger, onUnreadable: (position: string) => void unreadable.push(position) }
  const source = await openStorageAt(from, options)
  try {
    const target = await openStorageAt(to, options)
    try {
      const copied = await copyLog({
        from: storeSource(source.store, await wholeLogOf(source.store, from, archive)),
        to: target.store,
        clock: systemClock,
        digest: nodeDigest,
        ...rest,
      })
      if (unreadable.length > 0) throw skipped(unreadable)
      return copied
    } finally {
      await close(target)
    }
  } finally {
    await close(source)
  }
}

export interface ImportLedgerOptions extends Omit<CopyLedgerOptions, 'from' | 'archive'> {
  /** An export, as `ledger.export` writes it. */
  readonly file: string
}

/** Makes a log of what another one was exported to; goes on where an interrupted import has stopped. See `openBundle`, `copyLog`. */
export async function importLedger({ file, to, ...rest }: ImportLedgerOptions): Promise<Copied> {
  const { folder, name } = findFile(file)
  const from = await openBundle(folder, name)
  const target = await openStorageAt(to, { logger: rest.logger, onUnreadable: () => {} })
  try {
    return await copyLog({ from, to: target.store, clock: systemClock, digest: nodeDigest, ...rest })
  } finally {
    await close(target)
  }
}

/** A store with its archive. */
async function wholeLogOf(store: EventStore, url: string, archive: string | undefined): Promise<LogReader> {
  const path = archive ?? archiveBeside(url)
  const folder = path === undefined ? undefined : new NodeFolder(path)
  const { catalogue, log } = new Archive({ store, folder, segmentOf: async () => undefined })
  await catalogue.discover()
  return log
}

function skipped(positions: readonly string[]): CopyImpossible {
  const count = new Set(positions).size
  return new CopyImpossible(`${count} records cannot be read and were left out, the first at position ${positions[0]}.`)
}

async function close({ store, views }: Storage): Promise<void> {
  await views.close()
  await store.close()
}
