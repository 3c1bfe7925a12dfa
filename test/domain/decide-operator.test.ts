/** Verbs of an operator: they need no lease. */
import { describe, expect, test } from 'vitest'
import type { Draft } from '../../domain/event.js'
import type { Decision } from '../../domain/job/decide.js'
import * as decide from '../../domain/job/decide.js'
import type { DependencyEdge } from '../../domain/job/events.js'
import { evolve } from '../../domain/job/evolve.js'
import type { State } from './support/decisions.js'
import { body, cancelled, check, failed, finished, leased, queued } from './support/decisions.js'
import { fact, facts, JOB, NOW, stamped, stateAfter } from './support/jobs.js'

describe('cancel', () => {
  const run =
    (command: decide.CancelCommand) =>
    (state: State): Decision =>
      decide.cancel(JOB, state, command)
  check([
    { so: 'ends a waiting job', given: [queued], when: run({ by: 'operator' }), answer: [cancelled] },
    {
      so: 'ends a running job, and says why',
      given: [queued, leased],
      when: run({ by: 'operator', reason: 'wrong mail' }),
      answer: [fact('Cancelled', { by: 'operator', reason: 'wrong mail' })],
    },
    {
      so: 'spares a running job when told to',
      given: [queued, leased],
      when: run({ by: 'operator', ifIdle: true }),
      answer: 'JOB_RUNNING',
    },
    {
      so: 'ends an idle job all the same',
      given: [queued],
      when: run({ by: 'operator', ifIdle: true }),
      answer: [cancelled],
    },
    {
      so: 'is refused after the end',
      given: [queued, leased, finished],
      when: run({ by: 'operator' }),
      answer: 'JOB_ENDED',
    },
    {
      so: 'is refused the second time',
      given: [queued, cancelled],
      when: run({ by: 'operator' }),
      answer: 'JOB_ENDED',
    },
    { so: 'is refused for an unknown job', given: [], when: run({ by: 'operator' }), answer: 'JOB_UNKNOWN' },
  ])
})

const FIRED = { trigger: { id: 'nightly', occurrence: 7, event: true }, debounced: true, chain: ['first'] } as const

describe('retry by an operator', () => {
  const edges: readonly DependencyEdge[] = [
    { id: 'good', on: 'succeeded', otherwise: 'block' },
    { id: 'bad', on: 'succeeded', otherwise: 'cancel' },
    { id: 'open', on: 'succeeded', otherwise: 'block' },
    { id: 'met', on: 'succeeded', otherwise: 'block', now: 'met' },
  ]
  const others: Record<string, State> = {
    good: stateAfter(queued, leased, finished),
    bad: stateAfter(queued, cancelled),
    open: stateAfter(queued),
  }
  const run = (state: State): Decision => decide.retry(JOB, state, NOW + 5, (id) => others[id])
  const round = (job: object): Draft[] => [
    { ...fact('Retried', { runAt: NOW + 5, by: 'operator' }), data: { runAt: NOW + 5, by: 'operator', job } },
  ]
  check([
    {
      so: 'brings what the job is, so that a projection can take it up again',
      given: [
        fact('Queued', facts({ priority: 4, channel: 'c', name: 'n', held: true })),
        fact('Rescheduled', { held: false }),
        leased,
        finished,
      ],
      when: run,
      answer: round({
        ...facts({ priority: 4, channel: 'c', name: 'n' }),
        run: 1,
        queuedAt: NOW,
        outcome: 'succeeded',
        startedAt: NOW,
      }),
    },
    {
      so: 'leaves out what is default',
      given: [queued, cancelled],
      when: run,
      answer: round({ ...facts(), run: 0, queuedAt: NOW, outcome: 'cancelled' }),
    },
    {
      so: 'judges the edges anew: met ones stay met, failed ones are open again',
      given: [fact('Queued', facts({ dependsOn: edges })), cancelled],
      when: run,
      answer: round({
        ...facts({
          dependsOn: [
            { id: 'good', on: 'succeeded', otherwise: 'block', now: 'met' },
            { id: 'bad', on: 'succeeded', otherwise: 'cancel' },
            { id: 'open', on: 'succeeded', otherwise: 'block' },
            { id: 'met', on: 'succeeded', otherwise: 'block', now: 'met' },
          ],
        }),
        run: 0,
        queuedAt: NOW,
        outcome: 'cancelled',
      }),
    },
    {
      so: 'knows that all edges of a job that has run are met',
      given: [fact('Queued', facts({ dependsOn: edges.slice(0, 2) })), leased, cancelled],
      when: run,
      answer: round({
        ...facts({ dependsOn: edges.slice(0, 2).map((edge) => ({ ...edge, now: 'met' as const })) }),
        run: 1,
        queuedAt: NOW,
        outcome: 'cancelled',
        startedAt: NOW,
      }),
    },
    {
      so: 'brings the last error, and where the payload is that it was given while it waited',
      given: [
        ...[queued, body(fact('Rescheduled', { payload: true }), '2'), leased, failed],
        fact('Finished', { outcome: 'failed', error: 'Error' }),
      ],
      when: run,
      answer: round({
        ...facts(),
        run: 1,
        queuedAt: NOW,
        outcome: 'failed',
        error: 'Error',
        startedAt: NOW,
        payloadAt: 1,
      }),
    },
    {
      so: 'brings what only few jobs have; not that the job was condemned',
      given: [
        fact('Queued', facts({ timeoutBy: 'type', retryOn: 'recoverable-only', retainMs: null })),
        cancelled,
        fact('Condemned', {}),
      ],
      when: run,
      answer: round({
        ...facts({ timeoutBy: 'type', retryOn: 'recoverable-only', retainMs: null }),
        run: 0,
        queuedAt: NOW,
        outcome: 'cancelled',
      }),
    },
    {
      so: 'brings the trigger that made it, and those in whose course it came to be',
      given: [
        fact('Queued', facts({ ...FIRED, retainMs: 5 })),
        body(fact('Rescheduled', { payload: true }), '2'),
        cancelled,
      ],
      when: run,
      answer: round({ ...facts({ ...FIRED, retainMs: 5 }), run: 0, queuedAt: NOW, outcome: 'cancelled', payloadAt: 1 }),
    },
    {
      so: 'does not say again for whom the job is, nor what it was unique by: that is in its first event',
      given: [
        fact('Queued', facts({ unique: 'unique-1', context: { user: 'u' }, codeVersion: 'v', payloadVersion: 2 })),
        cancelled,
      ],
      when: run,
      answer: round({ ...facts(), run: 0, queuedAt: NOW, outcome: 'cancelled' }),
    },
    {
      so: 'lets a held job go instead',
      given: [fact('Queued', facts({ held: true }))],
      when: run,
      answer: [fact('Rescheduled', { runAt: NOW + 5, held: false })],
    },
    {
      so: 'is refused once its payload was erased',
      given: [queued, leased, finished, fact('Expunged', { rule: 'r', hashes: {} })],
      when: run,
      answer: 'JOB_EXPUNGED',
    },
    { so: 'is refused while it waits', given: [queued], when: run, answer: 'JOB_NOT_ENDED' },
    { so: 'is refused while it runs', given: [queued, leased], when: run, answer: 'JOB_NOT_ENDED' },
    { so: 'is refused for an unknown job', given: [], when: run, answer: 'JOB_UNKNOWN' },
  ])

  test('leaves a job that a trigger made what it was, also for those who have let go of it', () => {
    const ended = stateAfter(fact('Queued', facts(FIRED)), cancelled)
    const [retried] = run(ended) as readonly Draft[]
    expect(evolve(undefined, stamped(retried as Draft)).rare).toEqual(FIRED)
    expect(evolve(ended, stamped(retried as Draft)).rare).toEqual(FIRED)
  })

  test('opens a new round: attempts and lost leases start again, the history of runs goes on', () => {
    const ended = stateAfter(queued, leased, failed, fact('Finished', { outcome: 'failed', error: 'Error' }))
    const state = stateAfter(
      queued,
      leased,
      failed,
      fact('Finished', { outcome: 'failed', error: 'Error' }),
      fact('Retried', { runAt: NOW + 5, by: 'operator' }),
    )
    expect(ended).toMatchObject({ attempt: 1, run: 1, outcome: 'failed' })
    expect(state).toMatchObject({
      phase: 'waiting',
      attempt: 0,
      lost: 0,
      run: 1,
      outcome: undefined,
      endedAt: 0,
      since: NOW + 5,
    })
  })
})

describe('reschedule', () => {
  const run = (state: State): Decision => decide.reschedule(JOB, state, { runAt: NOW + 9, priority: -1, held: true })
  check([
    {
      so: 'changes what it names, nothing else',
      given: [queued],
      when: run,
      answer: [fact('Rescheduled', { runAt: NOW + 9, priority: -1, held: true })],
    },
    {
      so: 'may bring another payload',
      given: [queued],
      when: (state) => decide.reschedule(JOB, state, { payloadVersion: 2 }, '{"b":2}'),
      answer: [body(fact('Rescheduled', { payloadVersion: 2, payload: true }), '{"b":2}')],
    },
    { so: 'is refused for an unknown job', given: [], when: run, answer: 'JOB_UNKNOWN' },
    { so: 'is refused while it runs', given: [queued, leased], when: run, answer: 'JOB_RUNNING' },
    { so: 'is refused once it has ended', given: [queued, cancelled], when: run, answer: 'JOB_ENDED' },
  ])
})

describe('promote', () => {
  const run = (state: State): Decision => decide.promote(JOB, state, NOW)
  check([
    {
      so: 'lets a held job go',
      given: [fact('Queued', facts({ held: true }))],
      when: run,
      answer: [fact('Rescheduled', { runAt: NOW, held: false })],
    },
    {
      so: 'lets a scheduled job go, also one that waits for its next attempt',
      given: [queued, leased, failed, fact('Retried', { runAt: NOW + 9, by: 'policy' })],
      when: run,
      answer: [fact('Rescheduled', { runAt: NOW })],
    },
    {
      so: 'lets a job go that is both',
      given: [fact('Queued', facts({ held: true, runAt: NOW + 9 }))],
      when: run,
      answer: [fact('Rescheduled', { runAt: NOW, held: false })],
    },
    { so: 'changes nothing of a job that is free to go', given: [queued], when: run, answer: [] },
    {
      so: 'changes nothing of a job whose time has come this very moment',
      given: [fact('Queued', facts({ runAt: NOW }))],
      when: run,
      answer: [],
    },
    { so: 'is refused for an unknown job', given: [], when: run, answer: 'JOB_UNKNOWN' },
    { so: 'is refused while it runs', given: [queued, leased], when: run, answer: 'JOB_RUNNING' },
    { so: 'is refused once it has ended', given: [queued, cancelled], when: run, answer: 'JOB_ENDED' },
  ])
})

describe('condemn', () => {
  const run = (state: State): Decision => decide.condemn(JOB, state, 'rule-1')
  const condemned = fact('Condemned', { rule: 'rule-1' })
  check([
    { so: 'marks an ended job', given: [queued, leased, finished], when: run, answer: [condemned] },
    {
      so: 'names no rule when it was an operator',
      given: [queued, cancelled],
      when: (state) => decide.condemn(JOB, state, undefined),
      answer: [fact('Condemned', {})],
    },
    { so: 'says it each time', given: [queued, cancelled, condemned], when: run, answer: [condemned] },
    {
      so: 'says it again in a new round, which has called it off',
      given: [queued, cancelled, condemned, fact('Retried', { runAt: NOW, by: 'operator' }), cancelled],
      when: run,
      answer: [condemned],
    },
    {
      so: 'marks one whose bodies were erased',
      given: [queued, cancelled, fact('Expunged', { rule: 'r', hashes: {} })],
      when: run,
      answer: [condemned],
    },
    { so: 'is refused for an unknown job', given: [], when: run, answer: 'JOB_UNKNOWN' },
    { so: 'is refused while it waits', given: [queued], when: run, answer: 'JOB_NOT_ENDED' },
    { so: 'is refused while it runs', given: [queued, leased], when: run, answer: 'JOB_NOT_ENDED' },
  ])
})

describe('expunge', () => {
  const hashes = { 0: 'aa', 2: 'bb' }
  const run = (state: State): Decision => decide.expunge(JOB, state, 'rule-1', hashes)
  const expunged = fact('Expunged', { rule: 'rule-1', queuedAt: NOW, hashes })
  check([
    {
      so: 'records what was erased, and where the row of the job is',
      given: [queued, leased, finished],
      when: run,
      answer: [expunged],
    },
    { so: 'says it once', given: [queued, leased, finished, expunged], when: run, answer: [] },
    {
      so: 'says nothing where there is nothing to erase',
      given: [queued, cancelled],
      when: (state) => decide.expunge(JOB, state, 'rule-1', {}),
      answer: [],
    },
    { so: 'is refused for an unknown job', given: [], when: run, answer: 'JOB_UNKNOWN' },
    { so: 'is refused while it waits', given: [queued], when: run, answer: 'JOB_NOT_ENDED' },
    { so: 'is refused while it runs', given: [queued, leased], when: run, answer: 'JOB_NOT_ENDED' },
  ])

  test('says in what state the job is instead', () => {
    expect((run(stateAfter(queued)) as Error).message).toBe('Job j1 has not ended, it is waiting.')
    expect((run(stateAfter(queued, leased)) as Error).message).toBe('Job j1 has not ended, it is running.')
  })
})
