/** Decisions in the form: given facts so far, when a decider is asked, then facts or a refusal. */
import { expect, test } from 'vitest'
import type { Draft } from '../../../domain/event.js'
import type { Decision } from '../../../domain/job/decide.js'
import type { JobState } from '../../../domain/job/evolve.js'
import { evolve } from '../../../domain/job/evolve.js'
import { fact, facts, NOW, stamped, stateAfter, TOKEN } from './jobs.js'

export type State = JobState | undefined

/** given (facts so far) / when (the decider) / answer (facts, or the code of the refusal). */
export interface Case {
  readonly so: string
  readonly given: readonly Draft[]
  readonly when: (state: State) => Decision
  readonly answer: readonly Draft[] | string
}

/** One test for each; what is decided must also be legal, and leave no job between two events of one decision. */
export function check(cases: readonly Case[]): void {
  test.each(cases)('$so', ({ given, when, answer }) => {
    const state = stateAfter(...given)
    const decision = when(state)
    expect(decision instanceof Error ? decision.code : decision).toEqual(answer)
    if (decision instanceof Error || decision.length === 0) return
    const after = decision.reduce<State>((before, draft) => evolve(before, stamped(draft)), state)
    expect(after?.phase).toMatch(/^(waiting|leased|ended)$/)
  })
}

export const queued: Draft = fact('Queued', facts())
export const leased: Draft = fact('Leased', {
  token: TOKEN,
  workerId: 'w1',
  run: 1,
  attempt: 1,
  expiresAt: NOW + 30_000,
})
export const finished: Draft = fact('Finished', { outcome: 'succeeded' })
export const cancelled: Draft = fact('Cancelled', { by: 'operator' })
export const failed: Draft = fact('Failed', {
  token: TOKEN,
  run: 1,
  attempt: 1,
  cause: 'error',
  error: 'Error',
  retryable: true,
})
export const retried: Draft = fact('Retried', { runAt: NOW, by: 'policy' })
export const again: Draft = fact('Retried', { runAt: NOW, by: 'lease-lost' })
export const body = (draft: Draft, content: string | Uint8Array): Draft => ({ ...draft, body: content })

/** The same lease in a later run. */
export const run = (number: number, attempt = 1): Draft => ({
  ...leased,
  data: { ...leased.data, run: number, attempt },
})
