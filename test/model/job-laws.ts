/** What must hold of any stream of a job, whatever was asked of it. */
import { expect } from 'vitest'
import { expiresAt, tries } from '../../domain/backoff.js'
import { LOST_LEASE_CAP } from '../../domain/job/decide.js'
import type { Failed, JobEvent, JobFacts, Leased, Retried } from '../../domain/job/events.js'

export function expectLawful(log: readonly JobEvent[]): void {
  const facts = log[0]?.data as JobFacts | undefined
  if (facts === undefined) return
  const stream = new Reading(facts)
  for (const event of log) stream.read(event)
}

class Reading {
  readonly #facts: JobFacts
  #open: string | undefined
  #runs = 0
  #ended = false
  #expunged = false
  #lost = 0
  #attempts = 0
  #roundAt: number | undefined

  constructor(facts: JobFacts) {
    this.#facts = facts
  }

  get #max(): number {
    return tries(this.#facts.backoff, this.#facts.maxAttempts) ?? Number.POSITIVE_INFINITY
  }

  read({ type, data, at }: JobEvent): void {
    if (this.#ended) {
      expect(type === 'Retried' ? data.by : type).toMatch(/^(operator|Expunged|Condemned)$/)
    }
    switch (type) {
      case 'Leased':
        return this.#leased(data, at)
      case 'Failed':
        return this.#failed(data)
      case 'Heartbeat':
        expect(data.token).toBe(this.#open)
        return
      case 'Released':
        expect(data.token).toBe(this.#open)
        this.#open = undefined
        return
      case 'Rescheduled':
        expect(this.#open).toBeUndefined()
        return
      case 'Expunged':
        this.#expunged = true
        return
      case 'Finished':
      case 'Cancelled':
        this.#open = undefined
        this.#ended = true
        return
      case 'Retried':
        return this.#retried(data)
    }
  }

  #leased({ run, attempt, token }: Leased, at: number): void {
    expect(this.#open).toBeUndefined()
    this.#runs += 1
    expect(run).toBe(this.#runs)
    expect(attempt).toBe(this.#attempts + 1)
    expect(attempt).toBeLessThanOrEqual(this.#max)
    this.#open = token
    this.#roundAt ??= at
  }

  #failed({ cause, attempt, run }: Failed): void {
    expect(run).toBe(this.#runs)
    if (cause === 'not-started') {
      expect({ run, attempt, open: this.#open }).toEqual({ run: 0, attempt: 0, open: undefined })
      return
    }
    expect(this.#open).toBeDefined()
    if (cause === 'lease-lost') this.#lost += 1
    else this.#attempts = attempt
    expect(this.#attempts).toBeLessThanOrEqual(this.#max)
    expect(this.#lost).toBeLessThanOrEqual(LOST_LEASE_CAP + 1)
    this.#open = undefined
  }

  #retried({ by, runAt }: Retried): void {
    // What cannot be run any more is not sent round again.
    expect(this.#expunged && by === 'operator').toBe(false)
    if (by === 'policy') expect(runAt).toBeLessThanOrEqual(expiresAt(this.#facts.backoff, this.#roundAt as number))
    if (!this.#ended) return
    this.#ended = false
    this.#lost = 0
    this.#attempts = 0
    this.#roundAt = undefined
  }
}
