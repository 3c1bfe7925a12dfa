import { JobledgerError } from '../../domain/errors.js'

abstract class CopyError extends JobledgerError {
  readonly family = 'store'
}

/** The target is neither empty nor the beginning of the source. */
export class CopyTargetDiffers extends CopyError {
  readonly code = 'COPY_TARGET_DIFFERS'
}

/** The log has something that no other one can be given: a stream that has lost its beginning. */
export class CopyImpossible extends CopyError {
  readonly code = 'COPY_IMPOSSIBLE'
}

/** What was copied does not read back as it was. */
export class CopyUnverified extends CopyError {
  readonly code = 'COPY_UNVERIFIED'
}
