/** A ledger in memory, on virtual time, that lives through what chance has chosen; and what it says of itself on the way. */
import fc from 'fast-check'
import type { TestLedger } from '../../adapters/testing/test-ledger.js'
import { testLedger } from '../../adapters/testing/test-ledger.js'
import { JobledgerError } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import type { JobStatus } from '../../runtime/read/queries.js'
import { defineJob } from '../../runtime/work/run/definition.js'

const plain = defineJob({ type: 'plain', handle: (n: number) => n })
const flaky = defineJob({
  type: 'flaky',
  maxAttempts: 2,
  backoff: { min: '10s', max: '10s', jitter: 'none' },
  concurrencyKey: () => 'one',
  concurrencyLimit: 1,
  handle: (n: number) => {
    if (n % 3 !== 0) throw new Error(`odd ${n}`)
    return n
  },
})

/** One thing that happens; numbers stand for jobs that are there. */
export type Act =
  | { readonly kind: 'enqueue'; readonly type: 'plain' | 'flaky'; readonly delay: number; readonly after: number }
  | { readonly kind: 'drain' | 'advance' | 'pause' | 'resume' | 'trigger' | 'limit'; readonly n: number }
  | { readonly kind: 'cancel' | 'retry' | 'reschedule' | 'promote' | 'expunge'; readonly n: number }

const small = fc.nat({ max: 30 })
export const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('enqueue' as const),
        type: fc.constantFrom('plain' as const, 'flaky' as const),
        delay: fc.constantFrom(0, 0, 5_000, 60_000),
        after: fc.nat({ max: 60 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constantFrom('drain' as const, 'advance' as const), n: small }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          ...(['pause', 'resume', 'trigger', 'limit', 'cancel', 'retry', 'reschedule', 'promote', 'expunge'] as const),
        ),
        n: small,
      }),
    },
  ),
  { minLength: 10, maxLength: 30 },
)

/** What a ledger says of itself. Workers' signs of life move on with nothing in the log to show for it but job events. */
export interface Picture {
  readonly queues: unknown
  readonly triggers: unknown
  readonly workers: unknown
  readonly jobs: readonly JobStatus[]
}

export class RandomLife {
  readonly ledger: TestLedger
  readonly ids: string[] = []
  /** All that was recorded, in order. */
  readonly events: RecordedEvent[] = []

  private constructor(ledger: TestLedger) {
    this.ledger = ledger
    ledger.events$.subscribe((event) => this.events.push(event))
  }

  static async begin(): Promise<RandomLife> {
    const life = new RandomLife(await testLedger({ jobs: [plain, flaky] }))
    await life.ledger.drain()
    return life
  }

  /** What a ledger refuses has not happened. */
  async live(act: Act): Promise<void> {
    try {
      await this.#do(act)
    } catch (error) {
      if (!(error instanceof JobledgerError)) throw error
    }
  }

  async #do(act: Act): Promise<unknown> {
    const { ledger, ids } = this
    if (act.kind === 'enqueue') return this.#enqueue(act)
    const id = ids[act.n % Math.max(1, ids.length)] ?? 'nobody'
    switch (act.kind) {
      case 'drain':
        return ledger.drain()
      case 'advance':
        return ledger.advance(act.n * 1_000)
      case 'pause':
        return ledger.queues.pause('default', { reason: 'chance' })
      case 'resume':
        return ledger.queues.resume('default')
      case 'limit':
        return ledger.queues.limit('default', { concurrency: 1 + act.n })
      case 'trigger':
        return ledger.triggers.add({ id: `t${act.n % 3}`, kind: 'every', when: '20s', job: plain, payload: 1 })
      case 'cancel':
        return ledger.cancel(id)
      case 'retry':
        return ledger.retry(id)
      case 'reschedule':
        return ledger.reschedule(id, { delay: '30s', priority: act.n })
      case 'promote':
        return ledger.promote(id)
      case 'expunge':
        return ledger.expunge(id)
    }
  }

  async #enqueue({ type, delay, after }: Act & { kind: 'enqueue' }): Promise<void> {
    const dependency = this.ids[after]
    const options = {
      delay,
      ...(dependency !== undefined && { dependsOn: [{ id: dependency, on: 'finished' as const }] }),
    }
    const { id } = await this.ledger.enqueue(type === 'plain' ? plain : flaky, this.ids.length, options)
    this.ids.push(id)
  }

  async picture(): Promise<Picture> {
    const { ledger } = this
    const jobs = await Promise.all(this.ids.map((id) => ledger.status(id)))
    const [queues, triggers, workers] = await Promise.all([
      ledger.queues.stats(),
      ledger.triggers.list(),
      ledger.workers.list(),
    ])
    return { jobs, queues, triggers, workers }
  }
}
