import { JobledgerError, show } from '../errors.js'

abstract class AuditError extends JobledgerError {
  readonly family: 'ledger' | 'option' = 'ledger'
}

/** A text that should be a checkpoint that somebody has signed, and is none. */
export class NoteUnreadable extends AuditError {
  readonly code = 'NOTE_UNREADABLE'
  override readonly family = 'option'
  readonly expected: string
  readonly received: string
  constructor(expected: string, received: unknown) {
    super(`Expected a signed checkpoint with ${expected}, got ${show(received)}.`)
    this.expected = expected
    this.received = show(received)
  }
}

/** A line of a bundle (an export, a proof, a segment) that is none. */
export class BundleUnreadable extends AuditError {
  readonly code = 'BUNDLE_UNREADABLE'
  readonly line: number
  readonly expected: string
  readonly received: string
  constructor(line: number, expected: string, received: unknown) {
    super(`Expected line ${line} of the bundle to be ${expected}, got ${show(received)}.`)
    this.line = line
    this.expected = expected
    this.received = show(received)
  }
}
