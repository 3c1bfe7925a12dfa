import type { ProcessIdentity } from '../../domain/worker/events.js'

/** The machine this runtime is on. */
export interface Host {
  /** As Node calls it: `x64`, `arm64`. */
  readonly arch: string
  identity(): ProcessIdentity
  /** True only when it is certain: a process of this host and pid namespace that does not run any more. */
  isGone(process: ProcessIdentity): boolean
}
