/** Jobs as a trigger would make them, without any: their first event is put into the log as it stands. */
import { DEFAULT_BACKOFF } from '../../domain/backoff.js'
import type { Json } from '../../domain/event.js'
import type { Queued } from '../../domain/job/events.js'
import { jobStream } from '../../domain/job/events.js'
import type { EventStore } from '../../runtime/ports/event-store.js'
import { encloseEvent } from '../../runtime/write/codec.js'

export interface Fired extends Partial<Queued> {
  readonly id: string
  readonly at: number
  readonly payload?: Json
  /** The document that was published. */
  readonly document?: Json
}

export async function fire(store: EventStore, { id, at, payload = null, document, ...facts }: Fired): Promise<void> {
  const text = JSON.stringify(payload)
  const content = document === undefined ? text : encloseEvent(text, document, 'document', 1_000)
  const data: Queued = {
    ...{ type: 'fired', queue: 'default', maxAttempts: 1, backoff: DEFAULT_BACKOFF, timeoutMs: null },
    ...facts,
  }
  const body = { salt: new Uint8Array(16), content }
  const stream = jobStream(id)
  const event = { stream, id: crypto.randomUUID(), type: 'Queued', at, data, body }
  const [outcome] = await store.append([{ expect: new Map([[stream, 'none']]), events: [event] }])
  if (outcome?.kind !== 'ok') throw new Error(`the job was not stored: ${outcome?.kind}`)
}
