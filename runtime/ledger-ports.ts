import type { Clock } from './ports/clock.js'
import type { Digest } from './ports/digest.js'
import type { EventStore } from './ports/event-store.js'
import type { Gate } from './ports/gate.js'
import type { Host } from './ports/host.js'
import type { Ids } from './ports/ids.js'
import type { Isolation } from './ports/isolation.js'
import type { ReadModels } from './ports/read-models.js'
import type { Scope } from './ports/scope.js'
import type { FindFile, Folder } from './ports/segments.js'
import type { Signatures } from './ports/signatures.js'
import type { Views } from './ports/views.js'
import type { JobContext } from './work/run/context.js'

/** The world a ledger lives in. */
export interface LedgerPorts {
  readonly store: EventStore
  readonly views: Views
  readonly clock: Clock
  readonly ids: Ids
  readonly host: Host
  readonly digest: Digest
  readonly scope: Scope<JobContext>
  readonly isolation: Isolation
  readonly signatures: Signatures
  /** Opens the tables for SQL, when they are first needed. Absent: there are none. */
  readonly readModels?: (() => Promise<ReadModels>) | undefined
  /** Where the segments of the archive are. Absent: nobody has said. */
  readonly archive?: Folder
  /** Absent: nothing can be exported. */
  readonly files?: FindFile
  /** Absent: always open. */
  readonly gate?: Gate
  /** Store and views belong to somebody else, who closes them. Default false. */
  readonly lent?: boolean
}
