import type { JobContext } from '../work/run/context.js'
import type { JobType } from '../write/contract.js'

/** A module whose handler runs in processes of its own. */
export interface IsolatedModule {
  /** `file:` URL, or an absolute path. */
  readonly module: string
  /** What one of its processes may use in all; undefined: as much as there is. */
  readonly memoryMiB: number | undefined
  /** Runs one of them serves before another takes its place. */
  readonly runs: number
  /** How long one that has nothing to do is kept. */
  readonly idleMs: number
  /** Options of Node for them. */
  readonly execArgv: readonly string[]
}

/** One run of such a module. */
export interface IsolatedRun {
  readonly module: IsolatedModule
  readonly payload: unknown
  readonly context: JobContext
  /** A result or a partial result that is larger is refused before it comes over. */
  readonly maxBodyBytes: number
  /** What the ledger knows of a type that the handler wants to enqueue a job of. */
  job(type: string): JobType | undefined
}

/** Runs handler modules where they can do this process no harm. */
export interface Isolation {
  /** Whether the module's file is there. */
  has(module: IsolatedModule): boolean
  /**
   * What the handler returned. Rejects with what it threw, with ChildDied, or with ModuleUnusable; after the context's signal
   * has aborted, with its reason, at the latest when the process was ended for it. A shutdown ends none: `stop` does.
   */
  run(run: IsolatedRun): Promise<unknown>
  /** Ends all processes, whatever they do. More can be had afterwards. */
  stop(): Promise<void>
}
