import { JobledgerError } from '../../domain/errors.js'

/** Checkpoints are signed, and this ledger was opened without a key. */
export class AuditKeyMissing extends JobledgerError {
  readonly code = 'AUDIT_KEY_MISSING'
  readonly family = 'option'
  readonly option = 'openLedger.audit.key'
  constructor() {
    super('Expected `openLedger.audit.key` to be a private key to sign checkpoints with, got none.')
  }
}

/** No checkpoint covers what is to be proven. */
export class ProofUnavailable extends JobledgerError {
  readonly code = 'PROOF_UNAVAILABLE'
  readonly family = 'ledger'
}

/** The log is not what its own checkpoints say: `audit.verify` tells where. */
export class LogDiffers extends JobledgerError {
  readonly code = 'LOG_DIFFERS'
  readonly family = 'ledger'
}
