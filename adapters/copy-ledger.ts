import { type Copied, type CopyProgress, copyLog } from '../runtime/copy/copy.js'
import { CopyImpossible } from '../runtime/copy/errors.js'
import type { Logger } from '../runtime/ports/logger.js'
import { systemClock } from './node/clock.js'
import { nodeDigest } from './node/digest.js'
import { openStorageAt, type Storage } from './open-ledger.js'

export interface CopyLedgerOptions {
  /** URLs. The target is made where there is none; its views are built by whoever opens it first. */
  readonly from: string
  readonly to: string
  readonly logger: Logger
  readonly signal: AbortSignal
  readonly onProgress?: (progress: CopyProgress) => void
}

/** Copies a log from one store to another; see `copyLog`. */
export async function copyLedger({ from, to, ...rest }: CopyLedgerOptions): Promise<Copied> {
  const unreadable: string[] = []
  const options = { logger: rest.logger, onUnreadable: (position: string) => void unreadable.push(position) }
  const source = await openStorageAt(from, options)
  try {
    const target = await openStorageAt(to, options)
    try {
      const copied = await copyLog({
        from: source.store,
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

function skipped(positions: readonly string[]): CopyImpossible {
  const count = new Set(positions).size
  return new CopyImpossible(`${count} records cannot be read and were left out, the first at position ${positions[0]}.`)
}

async function close({ store, views }: Storage): Promise<void> {
  await views.close()
  await store.close()
}
