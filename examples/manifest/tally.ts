import type { RecordedEvent } from '../../index.js'

/** Counts what happens, from the ledger's own events. */
export class Tally {
  /** Jobs that ended. */
  ended = 0
  /** Files digested. */
  digested = 0
  /** Runs begun, runs that ended badly, and of those the ones whose process had died. */
  runs = 0
  failures = 0
  lost = 0
  /** The job whose history is worth a look: a digest that had trouble, or else the last one. */
  example: string | undefined
  readonly #startedAt = performance.now()

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000
  }

  /** Jobs per second. */
  get rate(): number {
    return Math.round(this.ended / this.seconds)
  }

  follow({ type, stream, data }: RecordedEvent): void {
    const id = stream.slice('job-'.length)
    if (type === 'Leased') this.runs += 1
    else if (type === 'Failed') this.#failed(id, data as { cause: string })
    else if (type === 'Cancelled') this.ended += 1
    else if (type === 'Finished') this.#finished(id, data as { outcome: string })
  }

  #failed(id: string, { cause }: { cause: string }): void {
    this.failures += 1
    if (cause === 'lease-lost') this.lost += 1
    if (id.startsWith('digest:')) this.example = id
  }

  #finished(id: string, { outcome }: { outcome: string }): void {
    this.ended += 1
    if (!id.startsWith('digest:')) return
    if (outcome === 'succeeded') this.digested += 1
    if (this.failures === 0) this.example = id
  }
}
