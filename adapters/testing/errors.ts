import { JobledgerError } from '../../domain/errors.js'

/** The job did not get into the state that `waitFor` was asked for. */
export class WaitTimeout extends JobledgerError {
  readonly code = 'WAIT_TIMEOUT'
  readonly family = 'ledger'
  readonly jobId: string
  readonly wanted: string
  /** The state it is in instead; undefined: there is no such job. */
  readonly found: string | undefined
  constructor(jobId: string, wanted: string, found: string | undefined, ms: number) {
    const instead = found === undefined ? 'there is no such job' : `it is ${found}`
    super(`Job ${jobId} was not ${wanted} within ${ms} ms of virtual time: ${instead}.`)
    this.jobId = jobId
    this.wanted = wanted
    this.found = found
  }
}

/** Runs follow each other without end while time stands still. */
export class EndlessRuns extends JobledgerError {
  readonly code = 'ENDLESS_RUNS'
  readonly family = 'ledger'
  readonly jobId: string
  constructor(runs: number, jobId: string) {
    super(
      `More than ${runs} runs, the last one of job ${jobId}, while time stands still: does a job enqueue itself, or try again without a wait?`,
    )
    this.jobId = jobId
  }
}
