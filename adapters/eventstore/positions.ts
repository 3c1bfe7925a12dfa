import type { Position } from '../../domain/event.js'

/** Where an event lies in the server's log; both are the same but for transactions of old. */
export interface LogPosition {
  readonly commit: string
  readonly prepare: string
}

const DIGITS = 20
const FORM = /^(\d{20}):(\d{20})$/

const pad = (digits: string): string => digits.padStart(DIGITS, '0')
const bare = (digits: string): string => digits.replace(/^0+(?=\d)/, '')

/** As the port shows it: padded, so that strings order like numbers. */
export function toPosition({ commit, prepare }: LogPosition): Position {
  return `${pad(commit)}:${pad(prepare)}`
}

/** undefined for the start. Throws TypeError for a position that no store of this kind has made. */
export function fromPosition(position: Position): LogPosition | undefined {
  if (position === '') return undefined
  const [, commit, prepare] = FORM.exec(position) ?? []
  if (commit === undefined || prepare === undefined) {
    throw new TypeError(`Expected a position of this store (two times twenty digits), got '${position}'.`)
  }
  return { commit: bare(commit), prepare: bare(prepare) }
}
