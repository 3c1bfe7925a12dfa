import type { Duration } from '../../domain/duration.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { Finished } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import { JobUnknown } from '../../domain/rejection.js'
import type { JobStatusName } from '../../projections/job-status.js'
import { JOB_STATUS_NAMES } from '../../projections/job-status.js'
import { checkKeys, toName } from '../../runtime/checks.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { JobStatus } from '../../runtime/read/queries.js'
import type { Conductor } from './conductor.js'
import { WaitTimeout } from './errors.js'

/** Throws WaitTimeout, InvalidOption. */
export async function waitFor(
  ledger: Ledger,
  conductor: Conductor,
  job: string | { readonly id: string },
  state: JobStatusName,
  options: { readonly within?: Duration } = {},
): Promise<JobStatus> {
  const id = toName(typeof job === 'string' ? job : job?.id, 'waitFor.job')
  if (!JOB_STATUS_NAMES.includes(state)) {
    throw new InvalidOption('waitFor.state', `one of ${JOB_STATUS_NAMES.join(', ')}`, state)
  }
  checkKeys(options, new Set(['within']), 'waitFor')
  const ms = toMs(options.within ?? '1h', 'waitFor.within')
  // A state that a job is in for no time at all is seen only in passing.
  const passed = new Set<string>()
  const watching = ledger.events$.subscribe((event) => {
    if (event.stream === jobStream(id)) for (const name of statesAfter(event)) passed.add(name)
  })
  let found: JobStatusName | undefined
  const isReached = async (): Promise<boolean> => {
    const status = await statusOf(ledger, id)
    found = status?.state
    // From scheduled to ready leads nothing but time.
    if (state === 'ready' && status?.runAt !== undefined) conductor.lookAt(status.runAt)
    return found === state || passed.has(state)
  }
  try {
    if (await conductor.passUntil(ms, isReached)) return await ledger.status(id)
  } finally {
    watching.unsubscribe()
  }
  throw new WaitTimeout(id, state, found, ms)
}

/** What an event says that its job is now, or has just been. */
function statesAfter({ type, data }: RecordedEvent): readonly JobStatusName[] {
  if (type === 'Leased') return ['ready', 'running']
  if (type === 'Cancelled') return ['cancelled']
  return type === 'Finished' ? [(data as Finished).outcome] : []
}

async function statusOf(ledger: Ledger, id: string): Promise<JobStatus | undefined> {
  try {
    return await ledger.status(id)
  } catch (error) {
    if (error instanceof JobUnknown) return undefined
    throw error
  }
}
