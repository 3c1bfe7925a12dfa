/** Attempts and lost leases are counted as the semantics say, nothing runs before its time, and no more often than it may. */
import { LOST_LEASE_CAP } from '../../../domain/job/decide.js'
import type { Failed, Finished, Retried } from '../../../domain/job/events.js'
import type { JobRecord, Law } from './law.js'

interface Tally {
  maxAttempts: number | null
  runAt: number
  held: boolean
  /** Of this round. */
  attempts: number
  lost: number
  failed: Failed | undefined
}

export class Attempts implements Law {
  readonly #jobs = new Map<string, Tally>()

  see(id: string, event: JobRecord): string[] {
    const { type, data, at } = event
    if (type === 'Queued') {
      const { maxAttempts, runAt = 0, held = false } = data
      this.#jobs.set(id, { maxAttempts, runAt, held, attempts: 0, lost: 0, failed: undefined })
      return []
    }
    const job = this.#jobs.get(id)
    return job === undefined ? [`${type} of a job that was never queued`] : follow(job, event, at)
  }

  end(): string[] {
    return []
  }
}

function follow(job: Tally, { type, data }: JobRecord, at: number): string[] {
  switch (type) {
    case 'Leased':
      return [...leased(job, data.attempt, at)]
    case 'Released':
      job.runAt = data.runAt ?? job.runAt
      return []
    case 'Rescheduled':
      job.runAt = data.runAt ?? job.runAt
      job.held = data.held ?? job.held
      return []
    case 'Failed':
      job.failed = data
      if (data.cause === 'lease-lost') job.lost += 1
      else if (data.cause !== 'not-started') job.attempts += 1
      return []
    case 'Retried':
      return retried(job, data)
    case 'Finished':
      return finished(job, data)
    default:
      return []
  }
}

function* leased(job: Tally, attempt: number, at: number): Generator<string> {
  if (attempt !== job.attempts + 1) yield `attempt ${attempt} comes after ${job.attempts} that ended by themselves`
  if (job.maxAttempts !== null && attempt > job.maxAttempts) yield `attempt ${attempt} of ${job.maxAttempts}`
  if (at < job.runAt) yield `is leased ${job.runAt - at} ms before its time`
  if (job.held) yield 'is leased while it is held'
}

function retried(job: Tally, { by, runAt }: Retried): string[] {
  const faults: string[] = []
  if (by === 'lease-lost') {
    if (job.lost > LOST_LEASE_CAP) faults.push(`goes on after ${job.lost} lost leases`)
    if (job.failed?.cause !== 'lease-lost') faults.push('goes on as if it had lost a lease')
  } else job.runAt = runAt
  if (by === 'operator') Object.assign(job, { attempts: 0, lost: 0, held: false })
  job.failed = undefined
  return faults
}

function finished(job: Tally, { outcome, error }: Finished): string[] {
  const { lost, failed } = job
  if (outcome === 'succeeded') return []
  if (failed === undefined) return ['ends as failed without a failure']
  const isLost = failed.cause === 'lease-lost'
  if (isLost !== (error === 'LeaseLost')) return [`ends with ${error} after ${failed.cause}`]
  return isLost && lost <= LOST_LEASE_CAP ? [`ends as LeaseLost after ${lost} lost leases`] : []
}
