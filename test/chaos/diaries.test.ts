/** What handlers wrote down is held against the log: both made up here, so that every disagreement is seen to be found. */
import { describe, expect, it } from 'vitest'
import type { RecordedEvent } from '../../domain/event.js'
import { diaryFaults } from './fleet/diaries.js'
import { outcomesOf } from './fleet/outcomes.js'

let at = 0
const event = (job: string, type: string, data: object): RecordedEvent => {
  at += 10
  return { stream: `job-${job}`, type, data, at, id: `${at}`, revision: 0, position: `${at}` }
}
const queued = event('a', 'Queued', { type: 'brief' })
const leased = (run: number, workerId = 'w'): RecordedEvent => event('a', 'Leased', { run, workerId })
const failed = (cause: string): RecordedEvent => event('a', 'Failed', { cause })
const finished = event('a', 'Finished', { outcome: 'succeeded' })

const first = leased(1)
const lost = failed('lease-lost')
const wrong = failed('error')
const second = leased(2)

describe('diaries beside a log', () => {
  it.each<[string, string[], RecordedEvent[], string[]]>([
    ['that agree', [`began a 1 w 500\nended a 1 w 510\n`], [queued, first, finished], []],
    [
      'where a lost run went on',
      ['began a 1 w 500\nended a 1 w 900\n', 'began a 2 w 600\nended a 2 w 610\n'],
      [queued, first, lost, second, finished],
      [],
    ],
    [
      'where two runs were at work at once',
      ['began a 1 w 500\nended a 1 w 900\n', 'began a 2 w 600\nended a 2 w 610\n'],
      [queued, first, wrong, second, finished],
      ['job a: runs 1 and 2 were at work at once'],
    ],
    [
      'with a run twice',
      ['began a 1 w 500\n', 'began a 1 w 505\nended a 1 w 510\n'],
      [queued, first, finished],
      ['job a: run 1 began twice'],
    ],
    [
      'with a run that was never leased',
      ['began a 1 w 500\nended a 1 w 510\nbegan a 2 w 520\n'],
      [queued, first, finished],
      ['job a: run 2 began, and was never leased'],
    ],
    [
      'with a run of another worker',
      ['began a 1 v 500\nended a 1 v 510\n'],
      [queued, first, finished],
      ['job a: run 1 began in another worker than the one that leased it'],
    ],
    [
      'with a run before its lease',
      ['began a 1 w 1\nended a 1 w 510\n'],
      [queued, first, finished],
      ['job a: run 1 began before it was leased'],
    ],
    [
      'with a success of a run that did not end',
      ['began a 1 w 500\n'],
      [queued, first, finished],
      ['job a: run 1 has succeeded, and no handler came to its end'],
    ],
    [
      'with a job that is not there',
      ['began a 1 w 500\nended a 1 w 510\nenqueued b 0  515\n'],
      [queued, first, finished],
      ['job b: was enqueued, and is not in the log'],
    ],
  ])('%s', (_what, diaries, log, faults) => {
    expect(diaryFaults(diaries, log)).toEqual(faults)
  })
})

describe('how jobs ended', () => {
  const end = (data: object): RecordedEvent => event('a', 'Finished', data)

  it('is what their handlers do, or bad luck', () => {
    expect(outcomesOf([queued, finished], ['a']).faults).toEqual([])
    expect(outcomesOf([queued, end({ outcome: 'failed', error: 'LeaseLost' })], []).faults).toEqual([])
    expect(outcomesOf([queued, event('a', 'Cancelled', { by: 'dependency' })], []).faults).toEqual([])
    expect(
      outcomesOf([event('a', 'Queued', { type: 'doomed' }), end({ outcome: 'failed', error: 'Fatal' })], []).faults,
    ).toEqual([])
  })

  it('is a fault otherwise', () => {
    expect(outcomesOf([queued], ['a', 'b']).faults).toEqual([
      'job b: was enqueued, and is not in the log',
      'job a: a brief job that has not ended (no error)',
    ])
    expect(outcomesOf([queued, end({ outcome: 'failed', error: 'Error' })], []).faults).toEqual([
      'job a: a brief job that failed (Error)',
    ])
    expect(outcomesOf([event('a', 'Queued', { type: 'doomed' }), finished], []).faults).toEqual([
      'job a: a doomed job that succeeded (no error)',
    ])
  })
})
