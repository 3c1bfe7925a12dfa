import { JobledgerError } from '../../domain/errors.js'

abstract class ArchiveError extends JobledgerError {
  readonly family = 'store'
}

/** Part of the log lies in an archive, and nobody has said where that is. */
export class ArchiveMissing extends ArchiveError {
  readonly code = 'ARCHIVE_MISSING'
  constructor(segment: string) {
    super(
      `Expected \`openLedger.archive\` to name the folder with the archived segment ${segment} of this log, got nothing.`,
    )
  }
}

/** A segment that the log names is not in the folder of its archive. */
export class SegmentMissing extends ArchiveError {
  readonly code = 'SEGMENT_MISSING'
  readonly segment: string
  constructor(segment: string, folder: string) {
    super(`Expected the archived segment ${segment} in ${folder}, found no such file.`)
    this.segment = segment
  }
}

/** The file of a segment is not as it was sealed. */
export class SegmentDamaged extends ArchiveError {
  readonly code = 'SEGMENT_DAMAGED'
  readonly segment: string
  constructor(segment: string, folder: string, expected: string, received: string) {
    super(`Expected the archived segment ${segment} in ${folder} to have ${expected}, got ${received}.`)
    this.segment = segment
  }
}
