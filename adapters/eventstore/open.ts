/** Connects to a server and finds or founds the log there; refuses whatever cannot be used. */
import { StoreUnavailable, StoreUnusable } from '../../runtime/ports/event-store.js'
import { appendOf } from './appender.js'
import type { Connection } from './connection.js'
import type { Pipeline } from './pipeline.js'
import type { LogPosition } from './positions.js'
import { proposal, type Recorded, textOf } from './records.js'
import { logRead, streamRead } from './requests.js'
import { FORMAT, LOG_CREATED, LOG_STREAM, OLDEST_SERVER } from './schema.js'

/** What the log's own stream says. */
export interface Identity {
  readonly logId: string
  /** Where in the server's log that was written: nothing of the ledger is before it. */
  readonly origin: LogPosition
}

/** Throws StoreUnusable, StoreUnavailable. */
export async function openLog(connection: Connection, pipeline: Pipeline, prefix: string): Promise<Identity> {
  checkVersion(await connection.call((client) => client.version()), connection.place)
  const known = await readLog(connection, prefix)
  if (known === undefined) await found(connection, pipeline, prefix)
  const identity = known ?? (await readLog(connection, prefix))
  if (identity === undefined) throw new StoreUnavailable(`${connection.place}: the new log cannot be found again.`)
  await readBeginning(connection, prefix, identity.origin)
  return identity
}

/** Resolves when the server gives the log's own stream. */
export async function readLog(connection: Connection, prefix: string): Promise<Identity | undefined> {
  for await (const [message] of connection.read(streamRead({ name: prefix + LOG_STREAM, limit: 1 }))) {
    const record = message?.getEvent()?.getEvent()
    if (record === undefined) continue
    const origin = { commit: record.getCommitPosition(), prepare: record.getPreparePosition() }
    return { logId: logIdIn(record, connection.place), origin }
  }
  return undefined
}

/** Somebody else may be faster: then the log is that one's. */
async function found(connection: Connection, pipeline: Pipeline, prefix: string): Promise<void> {
  const data = JSON.stringify({ logId: crypto.randomUUID(), format: FORMAT })
  const event = proposal(crypto.randomUUID(), LOG_CREATED, data, '')
  const { answer, error } = {
    answer: undefined,
    error: undefined,
    ...(await pipeline.send(appendOf(prefix + LOG_STREAM, 'none', [event]))),
  }
  if (error !== undefined) return connection.call(() => Promise.reject(error))
  const kind = answer?.getError()?.getDetails()?.getTypeName() ?? ''
  if (/AccessDenied/.test(kind)) {
    throw new StoreUnavailable(
      `${connection.place}: the user lacks a permission: to write streams like '${prefix}job-1'.`,
    )
  }
}

/** Whoever may not read the log itself would learn it only when the first subscription fails. */
async function readBeginning(connection: Connection, prefix: string, origin: LogPosition): Promise<void> {
  try {
    for await (const _ of connection.read(logRead({ prefix }, origin))) return
  } catch (error) {
    if (!(error instanceof StoreUnavailable) || !/permission/.test(error.message)) throw error
    const message = `${connection.place}: the user may not read $all: it has to be in $admins, or named by the ACL of $all.`
    throw new StoreUnavailable(message, { cause: error.cause })
  }
}

function checkVersion(version: string, place: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [leastMajor, leastMinor] = OLDEST_SERVER
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return
  const oldest = `EventStoreDB ${leastMajor}.${leastMinor} or newer`
  throw new StoreUnusable(`${place}: expected ${oldest}, found ${version || 'one that does not say what it is'}.`)
}

function logIdIn(record: Recorded, place: string): string {
  const type = record.getMetadataMap().get('type')
  const { logId, format } = type === LOG_CREATED ? factsOf(record) : {}
  if (typeof logId !== 'string' || typeof format !== 'number') {
    throw new StoreUnusable(`${place}: expected a jobledger log in stream ${LOG_STREAM}, found another program's.`)
  }
  if (format > FORMAT) {
    throw new StoreUnusable(
      `${place}: this log has format ${format}, this jobledger knows up to ${FORMAT}. Use a newer jobledger.`,
    )
  }
  return logId
}

function factsOf(record: Recorded): { readonly logId?: unknown; readonly format?: unknown } {
  try {
    return JSON.parse(textOf(record.getData_asU8())) as { logId?: unknown }
  } catch {
    return {}
  }
}
