import { JobledgerError } from '../../domain/errors.js'

abstract class ExportError extends JobledgerError {
  readonly family = 'store'
}

/** There is a file of that name. */
export class ExportExists extends ExportError {
  readonly code = 'EXPORT_EXISTS'
  constructor(file: string) {
    super(`${file} is there already.`)
  }
}

/** The file is no export, or not as it was written. Nothing of it was imported. */
export class ImportDamaged extends ExportError {
  readonly code = 'IMPORT_DAMAGED'
  constructor(file: string, expected: string, received: string) {
    super(`Expected ${file} to be an export with ${expected}, got ${received}.`)
  }
}

/** The file is a part of a log: no other log can begin with it. */
export class ImportPartial extends ExportError {
  readonly code = 'IMPORT_PARTIAL'
  constructor(file: string, why: string) {
    super(`Expected ${file} to be a whole log, got a part of one: ${why}.`)
  }
}
