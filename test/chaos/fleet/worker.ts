/** One process of the fleet: works until it is told to stop, or is not told anything any more. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../../index.js'
import { openLedger, StoreUnavailable } from '../../../index.js'
import { jobs, keepDiary } from './jobs.js'

const [, , url = '', diary = '', concurrency = '', leaseMs = ''] = process.argv

const LOOK_AGAIN_MS = 100

type Level = 'info' | 'warn' | 'error'

/** What a process says to the one that has started it. */
export type Said =
  | { readonly ready: true }
  | { readonly level: Level; readonly message: string; readonly error: string | undefined }

const say = (said: Said): void => void process.send?.(said)

function at(level: Level): (facts: object, message: string) => void {
  return (facts, message) => {
    const { err } = facts as { err?: { code?: string; message?: string } }
    say({ level, message, error: err?.code ?? err?.message })
  }
}

const silent = (): void => {}
const logger: Logger = {
  ...{ trace: silent, debug: silent, info: at('info'), warn: at('warn'), error: at('error'), fatal: at('error') },
  child: () => logger,
}

// Its parent is gone: so is the reason to live.
process.once('disconnect', () => process.exit(1))
keepDiary(diary)
const ledger = await insist(() => openLedger({ url, jobs, logger }))
await insist(() => ledger.start({ concurrency: Number(concurrency), lease: Number(leaseMs) }))
process.once('message', async () => {
  await ledger.close({ drain: '1s', timeout: '3s' })
  process.exit(0)
})
say({ ready: true })

/** A process that was frozen in the middle of a commit, or a server that is away, keeps everybody from writing: tries again. */
async function insist<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
      say({ level: 'warn', message: 'could not start', error: error.code })
      await sleep(LOOK_AGAIN_MS)
    }
  }
}
