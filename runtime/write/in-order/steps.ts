/** Appends to one stream each, and their text as an event carries it. */
import type { Body, ErasedBody, NewEvent } from '../../../domain/event.js'
import type { ExpectedRevision } from '../../ports/event-store.js'

/** One append. */
export interface Step {
  readonly stream: string
  readonly expected: ExpectedRevision
  readonly events: readonly NewEvent[]
}

type WrittenContent = { readonly salt: string } & ({ readonly text: string } | { readonly bytes: string })
type WrittenBody = WrittenContent | { readonly hash: string }
type Written = Omit<NewEvent, 'body'> & { readonly body?: WrittenBody }

interface WrittenStep extends Omit<Step, 'events'> {
  readonly events: readonly Written[]
}

export function encodeSteps(steps: readonly Step[]): string {
  const written: readonly WrittenStep[] = steps.map((step) => ({ ...step, events: step.events.map(write) }))
  return JSON.stringify(written)
}

export function decodeSteps(text: string): Step[] {
  return (JSON.parse(text) as readonly WrittenStep[]).map((step) => ({ ...step, events: step.events.map(read) }))
}

const write = ({ body, ...event }: NewEvent): Written =>
  body === undefined ? event : { ...event, body: writeBody(body) }

const read = ({ body, ...event }: Written): NewEvent =>
  body === undefined ? event : { ...event, body: readBody(body) }

function writeBody(body: Body | ErasedBody): WrittenBody {
  if ('hash' in body) return { hash: toText(body.hash) }
  const { salt, content } = body
  const own = { salt: toText(salt) }
  return typeof content === 'string' ? { ...own, text: content } : { ...own, bytes: toText(content) }
}

function readBody(body: WrittenBody): Body | ErasedBody {
  if ('hash' in body) return { hash: toBytes(body.hash) }
  return { salt: toBytes(body.salt), content: 'text' in body ? body.text : toBytes(body.bytes) }
}

const toText = (bytes: Uint8Array): string => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
const toBytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
