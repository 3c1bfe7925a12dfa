/** Two runtimes on one log, each behind its own bad weather, and a record of everything that was asked and answered. */
import { MemoryEventStore } from '../../../adapters/memory/event-store.js'
import { JobledgerError } from '../../../domain/errors.js'
import type { RecordedEvent } from '../../../domain/event.js'
import type { DependencyEdge } from '../../../domain/job/events.js'
import { jobStream } from '../../../domain/job/events.js'
import { silentLogger } from '../../../runtime/ports/logger.js'
import { Feed } from '../../../runtime/read/feed.js'
import type { Command, Verdict } from '../../../runtime/write/command.js'
import * as commands from '../../../runtime/write/commands.js'
import type { NewJob } from '../../../runtime/write/enqueue-command.js'
import { enqueue, NOTHING_FOUND } from '../../../runtime/write/enqueue-command.js'
import { Journal } from '../../../runtime/write/journal.js'
import { facts } from '../../domain/support/jobs.js'
import { CountedIds } from './counted-ids.js'
import type { Forecast } from './faulty-store.js'
import { FaultyStore } from './faulty-store.js'
import { HastyClock, turns, within } from './hasty-clock.js'
import { AT_ONCE, rivalOn } from './rival.js'

export const JOBS = ['a', 'b', 'c'] as const
export const VERBS = [
  'enqueue',
  'enqueue after',
  'enqueue two',
  'enqueue fresh',
  'lease',
  'heartbeat',
  'finish',
  'fail',
  'lose lease',
  'release',
  'snooze',
  'requeue',
  'refuse',
  'reschedule',
  'promote',
  'condemn',
  'cancel',
  'cancel if idle',
  'retry',
  'note',
] as const

/** One thing that somebody asks for. */
export interface Ask {
  readonly runtime: 0 | 1
  readonly verb: (typeof VERBS)[number]
  readonly job: number
  readonly other: number
  readonly token: number
  /** Turns of the event loop before the next one: 0 is the same tick. */
  readonly pause: number
}

/** A command under way: what it was decided to be, and what came of it. */
export interface Case {
  readonly mark: string
  readonly runtime: number
  readonly command: Command<unknown>
  /** Events in the log when it was asked for, and when it was answered. */
  readonly from: number
  until: number
  /** Events that the projections had folded when it was answered. */
  folded: number
  decided: { readonly now: number; readonly draws: readonly number[]; readonly verdict: Verdict<unknown> } | undefined
  answer: { readonly yes: unknown } | { readonly no: unknown } | undefined
}

interface Runtime {
  readonly store: FaultyStore
  readonly clock: HastyClock
  readonly feed: Feed
  readonly journal: Journal
}

export interface Outcome {
  readonly log: readonly RecordedEvent[]
  readonly cases: readonly Case[]
  readonly runtimes: readonly Runtime[]
}

/** Far more turns than any run needs: who still waits then waits for ever. */
const PATIENCE = 50_000

/** Runs a whole day: everything is asked, answered and landed. */
export async function play(asks: readonly Ask[], forecasts: readonly Partial<Forecast>[]): Promise<Outcome> {
  const store = new MemoryEventStore()
  const stop = new AbortController()
  const runtimes = forecasts.map((forecast, index) => openRuntime(store, forecast, `runtime${index}`))
  const feeds = runtimes.map(({ feed }) => feed.run(stop.signal))
  const cases: Case[] = []
  const answers: Promise<void>[] = []
  for (const [index, ask] of asks.entries()) {
    const one: Case = {
      ...(await newCase(ask, index, store)),
      until: 0,
      folded: 0,
      decided: undefined,
      answer: undefined,
    }
    cases.push(one)
    answers.push(submit(one, runtimes[ask.runtime] as Runtime, store))
    await turns(ask.pause)
  }
  await within(PATIENCE, 'the journals', Promise.all(runtimes.map(({ journal }) => journal.idle())))
  await within(PATIENCE, 'the answers', Promise.all(answers))
  await Promise.all(runtimes.map((runtime) => runtime.store.landed()))
  stop.abort()
  await within(PATIENCE, 'the feeds', Promise.all(feeds))
  const log: RecordedEvent[] = []
  for await (const page of store.readAll({ bodies: true })) log.push(...page)
  return { log, cases, runtimes }
}

function openRuntime(inner: MemoryEventStore, forecast: Partial<Forecast>, name: string): Runtime {
  const clock = new HastyClock()
  const store = new FaultyStore(inner, forecast, rivalOn(inner, clock, `rival-of-${name}`))
  const feed = new Feed({ store, clock, logger: silentLogger })
  return { store, clock, feed, journal: new Journal({ store, memory: feed, clock, ids: new CountedIds(name) }) }
}

async function newCase(
  ask: Ask,
  index: number,
  store: MemoryEventStore,
): Promise<Pick<Case, 'mark' | 'runtime' | 'command' | 'from'>> {
  return { mark: `#${index}`, runtime: ask.runtime, command: toCommand(ask, index), from: Number(await store.head()) }
}

async function submit(one: Case, { journal, feed }: Runtime, store: MemoryEventStore): Promise<void> {
  try {
    // The mark is how its events are found in the log.
    one.answer = { yes: await journal.submit(watched(one), { mark: one.mark }) }
  } catch (error) {
    one.answer = { no: error }
  }
  one.folded = Number(feed.position)
  one.until = Number(await store.head())
}

/** The same command; it remembers its last decision. */
function watched(one: Case): Command<unknown> {
  const { command } = one
  return {
    ...command,
    decide(seen, now, draw) {
      const draws: number[] = []
      const verdict = command.decide(seen, now, () => {
        draws.push(draw())
        return draws.at(-1) as number
      })
      one.decided = { now, draws, verdict }
      return verdict
    },
  }
}

function toCommand({ verb, job, other, token: number }: Ask, index: number): Command<unknown> {
  const id = JOBS[job % JOBS.length] as string
  const second = JOBS[other % JOBS.length] as string
  const token = `t${number}`
  const edge = (to: string): DependencyEdge => ({
    id: to,
    on: 'succeeded',
    otherwise: number === 0 ? 'cancel' : 'block',
  })
  const spec = (name: string, ...dependsOn: readonly DependencyEdge[]): NewJob => ({
    id: name,
    facts: facts({ backoff: AT_ONCE, maxAttempts: 2, ...(dependsOn.length > 0 && { dependsOn }) }),
    payload: `"${number}"`,
  })
  switch (verb) {
    case 'enqueue':
      return enqueue([spec(id)])
    case 'enqueue after':
      return enqueue([spec(id, edge(second))])
    case 'enqueue two':
      return enqueue(id === second ? [spec(id, edge(id))] : [spec(id), spec(second, edge(id))])
    case 'enqueue fresh':
      return enqueue([spec(`n${index}`, edge(id), ...(id === second ? [] : [edge(second)]))])
    case 'lease':
      return commands.lease(id, { token, workerId: 'w', leaseMs: 30_000 })
    case 'heartbeat':
      return commands.heartbeat(id, { token, progress: index }, 30_000)
    case 'finish':
      return commands.finish(id, token, { result: `"${index}"` })
    case 'fail':
      return commands.fail(id, token, { cause: 'error', error: 'E', details: '{}', retryable: true })
    case 'lose lease':
      return commands.loseLease(id, token, 'gone')
    case 'release':
      return commands.release(id, token)
    case 'snooze':
      return commands.release(id, token, { by: 'snooze', runAt: 5 })
    case 'requeue':
      return commands.requeueOrFinish(id, token, other, undefined)
    case 'refuse':
      return commands.failUnstarted(id, undefined)
    case 'reschedule':
      return commands.reschedule(id, { priority: index, held: number === 0 })
    case 'promote':
      return commands.promote(id)
    case 'condemn':
      return commands.condemn(id, 'r')
    case 'cancel':
      return commands.cancel(id, { by: 'operator' }, number === 0)
    case 'cancel if idle':
      return commands.cancel(id, { by: 'operator', ifIdle: true }, false)
    case 'retry':
      // Whatever its first event names is among these.
      return commands.retry(id, {
        ...NOTHING_FOUND,
        dependencies: JOBS.filter((name) => name !== id),
        unique: undefined,
      })
    case 'note':
      return note(`note-${id}`, `note-${second}`, jobStream(id))
  }
}

class NotNow extends JobledgerError {
  readonly code = 'NOT_NOW'
  readonly family = 'job'
}

/** Writes to one stream what it has seen of two others: wrong unless those were fenced. */
function note(target: string, other: string, job: string): Command<number> {
  return {
    streams: [...new Set([target, other, job])],
    decide(seen) {
      const [mine, its, jobs] = [target, other, job].map((stream) => seen(stream).state?.revision ?? -1) as [
        number,
        number,
        number,
      ]
      if ((mine + its + jobs) % 3 === 0) return new NotNow(`${mine} ${its} ${jobs}`)
      return { drafts: [{ stream: target, type: 'Noted', data: { mine, its, jobs } }], answer: mine }
    },
  }
}
