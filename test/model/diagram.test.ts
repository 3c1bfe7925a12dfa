import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { JOB_EVENT_TYPES } from '../../domain/job/events.js'
import { PHASES } from '../../domain/job/lifecycle.js'
import { jobMachine } from '../../domain/job/machine.js'
import { queueMachine } from '../../domain/queue/machine.js'
import { TRIGGER_EVENT_TYPES } from '../../domain/trigger/events.js'
import { triggerMachine } from '../../domain/trigger/machine.js'
import { workerMachine } from '../../domain/worker/machine.js'
import { JOB_STATUS_NAMES } from '../../projections/job-status.js'
import { withDiagrams } from './state-diagram.js'

const path = fileURLToPath(new URL('../../docs/lifecycle.md', import.meta.url))
const page = readFileSync(path, 'utf8')
const machines = { job: jobMachine, worker: workerMachine, queue: queueMachine, trigger: triggerMachine }

/** Names in the first column of the page's tables. */
const rows = new Set([...page.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name as string))

describe('docs/lifecycle.md', () => {
  test('shows the machines as they are', async () => {
    const stale = 'docs/lifecycle.md is stale. Draw it again: npx vitest run test/model/diagram.test.ts -u'
    await expect(withDiagrams(page, machines), stale).toMatchFileSnapshot(path)
  })

  test.each([
    ['state of a job', PHASES],
    ['event of a job', JOB_EVENT_TYPES],
    ['status that a user is shown', JOB_STATUS_NAMES],
    ['state of a worker', Object.keys(workerMachine.states)],
    ['event of a worker', workerMachine.events],
    ['state of a queue', Object.keys(queueMachine.states)],
    ['event of a queue', queueMachine.events],
    ['state of a trigger', Object.keys(triggerMachine.states)],
    ['event of a trigger', TRIGGER_EVENT_TYPES],
  ])('says in a table what each %s means', (_, names) => {
    expect(names.filter((name) => !rows.has(name))).toEqual([])
  })

  test('explains nothing that is not there', () => {
    const known = new Set<string>([
      ...PHASES,
      ...JOB_EVENT_TYPES,
      ...JOB_STATUS_NAMES,
      ...Object.keys(workerMachine.states),
      ...workerMachine.events,
      ...Object.keys(queueMachine.states),
      ...queueMachine.events,
      ...Object.keys(triggerMachine.states),
      ...TRIGGER_EVENT_TYPES,
    ])
    expect([...rows].filter((name) => !known.has(name))).toEqual([])
  })

  test('has a place for each diagram, or the reader is told', () => {
    expect(() => withDiagrams('# Nothing here', machines)).toThrow('The page has no part "<!-- generated: job -->')
  })
})
