/** One job twice: as a small reference model sees it, and as deciders and folds have made it. */
import { isDeepStrictEqual } from 'node:util'
import type fc from 'fast-check'
import { expect } from 'vitest'
import type { Decision } from '../../domain/job/decide.js'
import type { JobEvent } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import { stamped } from '../domain/support/jobs.js'

/** What the reference knows: counters and flags, no events. */
export interface Model {
  phase: 'absent' | 'waiting' | 'leased' | 'ended'
  runs: number
  attempts: number
  lost: number
  due: number
  held: boolean
  /** Attempts that it has in a round. */
  max: number
  /** How long a round may go on, and when its first run began. */
  expiration: number
  roundAt: number
  runsBefore: number
  condemned: boolean
  expunged: boolean
}

/** Before anything was asked of it. */
export const nothing = (): Model => ({
  phase: 'absent',
  runs: 0,
  attempts: 0,
  lost: 0,
  due: 0,
  held: false,
  max: 0,
  expiration: Number.POSITIVE_INFINITY,
  roundAt: 0,
  runsBefore: 0,
  condemned: false,
  expunged: false,
})

/** What the deciders and folds under test have made of it. */
export interface Real {
  now: number
  readonly log: JobEvent[]
  state: JobState | undefined
  /** The same job as one sees it who took it up with its last `Retried`, and knows nothing of before. */
  revived: JobState | undefined
}

/** Types of the events, or the code of the refusal. */
export type Expected = readonly string[] | string

/** One command: how the model sees it, and the decider it stands for. */
export class Verb implements fc.Command<Model, Real> {
  readonly #name: string
  readonly #expect: (model: Model, real: Readonly<Real>) => Expected
  readonly #decide: (real: Real) => Decision

  constructor(name: string, expected: Verb['expects'], decider: (real: Real) => Decision) {
    this.#name = name
    this.#expect = expected
    this.#decide = decider
  }

  get expects(): (model: Model, real: Readonly<Real>) => Expected {
    return this.#expect
  }

  check(): boolean {
    return true
  }

  run(model: Model, real: Real): void {
    const decision = this.#decide(real)
    const told = decision instanceof Error ? decision.code : decision.map(({ type }) => type)
    expectSame(told, this.#expect(model, real))
    if (!(decision instanceof Error)) record(real, decision)
    expectSameCounters(model, real)
    expectRevivedAlike(real)
  }

  toString(): string {
    return this.#name
  }
}

function record(real: Real, decision: Exclude<Decision, Error>): void {
  for (const [index, draft] of decision.entries()) {
    const event = stamped(draft, real.now, real.log.length)
    real.log.push(event)
    real.state = evolve(real.state, event)
    real.revived =
      event.type === 'Retried' && event.data.by === 'operator'
        ? evolve(undefined, event)
        : real.revived && evolve(real.revived, event)
    if (draft.type === 'Failed') expect(decision[index + 1]?.type).toMatch(/^(Retried|Finished)$/)
  }
}

function expectSameCounters(model: Model, { state }: Real): void {
  const { phase = 'absent', run = 0, attempt = 0, lost = 0, held = false, runsBefore = 0, roundAt = 0 } = state ?? {}
  const seen = {
    ...{ phase, run, attempt, lost, held, runsBefore, roundAt },
    leased: state?.lease !== undefined,
    ended: state?.outcome !== undefined,
    condemned: state?.rare?.condemned ?? false,
    expunged: state?.rare?.expunged ?? false,
  }
  const { runs, attempts, condemned, expunged } = model
  const expected = { phase: model.phase, run: runs, attempt: attempts, lost: model.lost, held: model.held }
  expectSame(seen, {
    ...{ ...expected, runsBefore: model.runsBefore, roundAt: model.roundAt, condemned, expunged },
    leased: model.phase === 'leased',
    ended: model.phase === 'ended',
  })
}

/** Vitest's own comparison costs more than all that is compared here. */
function expectSame(seen: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(seen, expected)) expect(seen).toEqual(expected)
}

/** All but the place of the first event, and the progress of a run of a former round. */
const known = ({ position: _, progress: __, ...rest }: JobState): object => rest

function expectRevivedAlike({ state, revived }: Real): void {
  if (revived !== undefined) expectSame(known(revived), known(state as JobState))
}
