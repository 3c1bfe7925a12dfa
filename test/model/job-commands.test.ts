/** Any sequence of commands on one job: what the deciders answer is what a small reference model expects, and always legal. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JobEvent } from '../../domain/job/events.js'
import { NOW } from '../domain/support/jobs.js'
import { expectLawful } from './job-laws.js'
import type { Real } from './job-model.js'
import { nothing } from './job-model.js'
import { verbs } from './job-verbs.js'

describe('a job under any commands', { timeout: 0 }, () => {
  test('does what the reference expects, never breaks its laws, and reads alike from its whole history or its last round', () => {
    const reached = new Set<string>()
    fc.assert(
      fc.property(verbs, (commands) => {
        const model = nothing()
        const real: Real = { now: NOW, log: [], state: undefined, revived: undefined }
        fc.modelRun(() => ({ model, real }), commands)
        expectLawful(real.log)
        for (const event of real.log) reached.add(nameOf(event))
      }),
      { numRuns: 500 },
    )
    // The property is worth what it reaches.
    expect([...reached].sort()).toEqual([
      'Cancelled',
      'Condemned',
      'Expunged',
      'Failed by error',
      'Failed by lease-lost',
      'Failed by not-started',
      'Finished',
      'Finished, aborted',
      'Heartbeat',
      'Leased',
      'Queued',
      'Released',
      'Released by requeue',
      'Released by snooze',
      'Rescheduled',
      'Rescheduled with a payload',
      'Retried by lease-lost',
      'Retried by operator',
      'Retried by policy',
    ])
  })
})

function nameOf({ type, data }: JobEvent): string {
  switch (type) {
    case 'Retried':
      return `${type} by ${data.by}`
    case 'Failed':
      return `${type} by ${data.cause}`
    case 'Released':
      return data.by === undefined ? type : `${type} by ${data.by}`
    case 'Finished':
      return data.aborted ? `${type}, aborted` : type
    case 'Rescheduled':
      return data.payload ? `${type} with a payload` : type
    default:
      return type
  }
}
