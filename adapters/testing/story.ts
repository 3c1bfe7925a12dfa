import { InvalidOption, JobledgerError } from '../../domain/errors.js'
import type { NewEvent, RecordedEvent } from '../../domain/event.js'
import type { JobEvent } from '../../domain/job/events.js'
import { isJobStream, jobIdOf, jobStream } from '../../domain/job/events.js'
import type { JobState } from '../../domain/job/evolve.js'
import { evolve } from '../../domain/job/evolve.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { Clock } from '../../runtime/ports/clock.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import type { Ids } from '../../runtime/ports/ids.js'
import { reveal } from '../../runtime/write/codec.js'
import { stamp } from '../../runtime/write/group.js'
import type { Beginning, Continuation, PastEvent } from './history.js'
import type { Outcome } from './outcome.js'

/** An event of a job, as `then` sees it. `body` is what belongs to the user: payload, result, error. */
export interface JobFact {
  readonly job: string
  readonly type: string
  readonly data: object
  readonly body?: unknown
}

/** Jobs with a past. `when` acts on them and tells what events that has brought about. */
export interface JobStory {
  /** `act` is given the ids of the jobs, in the order of their histories. No handler runs, unless `act` lets time pass. */
  when(act: (...ids: string[]) => unknown): Promise<Outcome<JobFact>>
}

export interface StoryWorld {
  readonly ledger: Ledger
  readonly store: EventStore
  readonly clock: Clock
  readonly ids: Ids
  /** Resolves when the engine has nothing left to do but wait. */
  readonly quiet: () => Promise<void>
}

/** Throws InvalidOption, IllegalEvent, and what `enqueue` throws. */
export async function tell(
  world: StoryWorld,
  history: readonly PastEvent[],
  act: (...ids: string[]) => unknown,
): Promise<Outcome<JobFact>> {
  const ids: string[] = []
  for (const [index, event] of history.entries()) {
    if (event?.kind === 'enqueue') ids.push(await begin(world, event, `given[${index}]`))
    else if (event?.kind === 'record' && ids.length > 0) await record(world, ids.at(-1) as string, event)
    else throw new InvalidOption(`given[${index}]`, index === 0 ? 'queued()' : 'an event such as leased()', event)
  }
  await world.quiet()
  return watch(world, () => act(...ids))
}

async function begin({ ledger }: StoryWorld, { job, payload, options }: Beginning, path: string): Promise<string> {
  const { id, outcome } = await ledger.enqueue(job, payload, options)
  if (outcome === 'created') return id
  throw new InvalidOption(path, 'a job that is not there yet, and that its hooks let in', `${outcome} ${id}`)
}

/** The engine folds it as any event of another process. */
async function record({ store, clock, ids }: StoryWorld, id: string, { facts }: Continuation): Promise<void> {
  const stream = jobStream(id)
  let job: JobState | undefined
  for await (const page of store.readStream(stream)) for (const event of page) job = step(job, event)
  const before = job as JobState
  const now = clock.now()
  const events = facts(before, now).map((fact) => stamp({ ...fact, stream }, undefined, now, ids))
  // A history that cannot be is refused here, not left out by whoever reads it.
  for (const event of events) job = step(job, event)
  const [outcome] = await store.append([{ expect: new Map([[stream, before.revision]]), events }])
  if (outcome?.kind !== 'ok') throw new Error(`the history of job ${id} could not be stored: ${outcome?.kind}`)
}

const step = (job: JobState | undefined, event: NewEvent | RecordedEvent): JobState => evolve(job, event as JobEvent)

async function watch({ ledger, quiet }: StoryWorld, act: () => unknown): Promise<Outcome<JobFact>> {
  const events: JobFact[] = []
  const watching = ledger.events$.subscribe((event) => {
    if (isJobStream(event.stream)) events.push(toFact(event))
  })
  try {
    const answer = await act()
    await quiet()
    return { events, answer }
  } catch (error) {
    // Anything else is a mistake of the test itself.
    if (!(error instanceof JobledgerError)) throw error
    await quiet()
    return { events, refusal: error }
  } finally {
    watching.unsubscribe()
  }
}

const toFact = ({ stream, type, data, body }: RecordedEvent): JobFact => ({
  job: jobIdOf(stream),
  type,
  data,
  ...(body !== undefined && { body: reveal(body) }),
})
