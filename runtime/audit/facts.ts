/** What an event of the audit stream says; nothing where somebody has written something else there. */
import type { EventTexts } from '../../domain/event.js'

export function contentOf({ body }: EventTexts): Uint8Array | undefined {
  return body !== undefined && 'content' in body && typeof body.content !== 'string' ? body.content : undefined
}

export function factsOf<Facts>({ data }: EventTexts): Facts | undefined {
  try {
    return (JSON.parse(data) as Facts | null) ?? undefined
  } catch {
    return undefined
  }
}
