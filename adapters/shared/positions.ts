import type { Position } from '../../domain/event.js'

const ZEROS = '0000000000000000'

/** A position as the port shows it: sixteen digits, so that strings order like numbers. 0 is before the first event. */
export function toPosition(number: number): Position {
  if (number === 0) return ''
  const digits = String(number)
  return ZEROS.slice(digits.length) + digits
}

/** The number behind a position of ours. Throws TypeError for a position that no store of this kind has made. */
export function toNumber(position: Position): number {
  if (position === '') return 0
  const number = Number(position)
  if (position.length === ZEROS.length && Number.isSafeInteger(number) && number > 0) return number
  throw new TypeError(`Expected a position of this store (sixteen digits), got '${position}'.`)
}
