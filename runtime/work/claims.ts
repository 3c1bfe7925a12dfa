import type { JobState } from '../../domain/job/evolve.js'
import { isWorkerStream } from '../../domain/worker/events.js'
import type { WorkerState } from '../../domain/worker/evolve.js'
import type { Rank } from '../../projections/pending-index.js'
import type { Clock } from '../ports/clock.js'
import type { Host } from '../ports/host.js'
import type { Feed } from '../read/feed.js'
import { Alarm } from './alarm.js'
import { membersOf, ranking, stepFor } from './claim-policy.js'

/** How often silence is looked for (ms): a runtime that has died gives no sign of it. */
const LOOK = 10_000
/** A step that has changed by less than this part is left as it is. */
const STEADY = 0.25

/** Keeps the pending index's ranks up to date with the workers that live. Does nothing while this runtime is the only one. */
export class Claims {
  readonly #feed: Feed
  readonly #clock: Clock
  readonly #host: Host
  readonly #runtime: string
  readonly #alarm: Alarm
  #members = ''
  #step = stepFor(0)
  #stop: (() => void) | undefined

  constructor(options: {
    readonly feed: Feed
    readonly clock: Clock
    readonly host: Host
    readonly runtime: string
  }) {
    this.#host = options.host
    this.#feed = options.feed
    this.#clock = options.clock
    this.#runtime = options.runtime
    this.#alarm = new Alarm(options.clock, () => this.#look())
  }

  start(): void {
    let changed = false
    const events = this.#feed.events$.subscribe(({ stream, type }) => {
      // A beat changes nothing about who is there: most of what idle processes would look at.
      changed ||= isWorkerStream(stream) && type !== 'WorkerBeat'
    })
    // Once for the page: when several sign on at once, jobs are ranked anew once.
    const pages = this.#feed.pages$.subscribe(() => {
      if (changed) this.#refresh()
      changed = false
    })
    this.#stop = () => {
      events.unsubscribe()
      pages.unsubscribe()
    }
    this.#look()
  }

  stop(): void {
    this.#stop?.()
    this.#stop = undefined
    this.#alarm.stop()
    this.#members = ''
    this.#feed.board.pending.rankBy(undefined, 0)
  }

  #look(): void {
    this.#refresh()
    this.#alarm.by(this.#clock.now() + LOOK)
  }

  /** Not one whose process has died a moment ago: whoever takes its place would wait for it, until the reaper has been round. */
  #counts({ runtime, process }: WorkerState): boolean {
    if (runtime === undefined || runtime === this.#runtime) return runtime !== undefined
    return process === undefined || !this.#host.isGone(process)
  }

  #refresh(): void {
    const live = this.#feed.workers.live(this.#clock.now()).filter((worker) => this.#counts(worker))
    const members = JSON.stringify(live.map(({ id, status }) => [id, status]))
    const step = stepFor(this.#feed.lag())
    const isSteady = Math.abs(step - this.#step) <= STEADY * this.#step
    if (members === this.#members && isSteady) return
    this.#members = members
    this.#step = step
    const isAlone = live.every(({ runtime }) => runtime === this.#runtime)
    this.#feed.board.pending.rankBy(isAlone ? undefined : this.#rank(live), step)
  }

  /** Jobs come in crowds of one kind: the members of the last lane are at hand. */
  #rank(live: readonly WorkerState[]): (job: JobState) => Rank {
    const lanes = new Map<string, (key: string) => Rank>()
    let last: { readonly job: JobState; readonly rankOf: (key: string) => Rank } | undefined
    return (job) => {
      if (last?.job.type !== job.type || last.job.queue !== job.queue || last.job.channel !== job.channel) {
        const key = JSON.stringify([job.queue, job.channel, job.type])
        const rankOf = lanes.get(key) ?? ranking(membersOf(live, job), this.#runtime)
        lanes.set(key, rankOf)
        last = { job, rankOf }
      }
      // Jobs of one key meet in its claim stream: all of them are one runtime's to begin with.
      return last.rankOf(job.rare?.concurrency?.key ?? job.id)
    }
  }
}
