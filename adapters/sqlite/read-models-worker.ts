/** The program of the thread that follows the log: see `read-models-thread.ts`. */
import { getPriority, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { START } from '../../domain/event.js'
import type { SearchPaths } from '../../projections/read-models/payload-paths.js'
import { type Logger, silentLogger } from '../../runtime/ports/logger.js'
import { ReadModelsUnfit } from '../../runtime/ports/read-models.js'
import { Follower } from '../../runtime/report/follower.js'
import { openSqliteStore } from './event-store.js'
import { openSqliteReadModels } from './read-models.js'
import type { ThreadAnswer, ThreadData, ThreadRequest } from './read-models-thread.js'

/** Comes behind the engine's own thread and its collector of garbage where processors are scarce. Only Linux has this for a thread. */
const NICE = 5
if (process.platform === 'linux' && getPriority() < NICE) setPriority(NICE)

const answer = (message: ThreadAnswer): void => parentPort?.postMessage(message)

const logger: Logger = {
  ...silentLogger,
  info: (facts, message) => answer({ level: 'info', facts, message }),
  warn: (facts, message) => answer({ level: 'warn', facts, message }),
}

async function open({ log, reports, isNew }: ThreadData): Promise<(request: ThreadRequest) => Promise<number>> {
  const store = await openSqliteStore(log, { readonly: true })
  const models = await openSqliteReadModels(reports)
  let search: SearchPaths = new Map()
  const follower: Follower = new Follower({
    ...{ log: store, logId: store.logId, models, search: () => search, logger },
    // Later on, parts of the log may lie where only the engine finds them.
    mayBegin: () => isNew && follower.position === START,
  })
  return async (request) => {
    search = new Map(request.search)
    await follower.catchUp(request.until)
    return follower.lost
  }
}

const opened = open(workerData as ThreadData)
// Whoever asks is told.
opened.catch(() => {})

parentPort?.on('message', async (request: ThreadRequest) => {
  try {
    answer({ lost: await (await opened)(request) })
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    answer({ error: text, unfit: error instanceof ReadModelsUnfit })
  }
})
