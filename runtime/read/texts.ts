import { Entries, EntryWriter } from '../../domain/audit/entries.js'
import type { EventTexts, RecordedEvent } from '../../domain/event.js'
import type { LogRange, LogReader, ReadTextsOptions } from '../ports/event-store.js'

/** Events as they are stored, whatever the log is kept in. */
export function textsOf(log: LogReader, options: ReadTextsOptions = {}): AsyncIterable<EventTexts[]> {
  return log.readTexts?.(options) ?? writtenAgain(log, options)
}

/** The log to be hashed, whatever it is kept in. What is given is valid until the next is asked for. */
export async function* entriesOf(log: LogReader, range: LogRange = {}): AsyncGenerator<Entries, void, undefined> {
  if (log.readEntries !== undefined) {
    for await (const bytes of log.readEntries(range)) yield new Entries(bytes)
    return
  }
  const writer = new EntryWriter()
  for await (const page of textsOf(log, range)) yield new Entries(writer.write(page))
}

async function* writtenAgain(log: LogReader, options: ReadTextsOptions): AsyncGenerator<EventTexts[]> {
  const pages =
    'stream' in options ? log.readStream(options.stream, { bodies: true }) : log.readAll({ ...options, bodies: true })
  for await (const page of pages) yield page.map(toTexts)
}

/** What our codec wrote reads back, and is written again, byte for byte. */
export function toTexts({ data, metadata, ...event }: RecordedEvent): EventTexts {
  return {
    ...event,
    data: JSON.stringify(data),
    ...(metadata !== undefined && { metadata: JSON.stringify(metadata) }),
  }
}
