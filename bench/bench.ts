/** What a case is given: sizes, files and fresh processes. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Message, Task } from './task.js'
import { runTask } from './task.js'

/** A task that takes longer hangs. */
const LIMIT_MS = 15 * 60_000

export interface BenchOptions {
  readonly dir: string
  readonly once: boolean
  readonly keep: boolean
}

export class Bench {
  readonly dir: string
  readonly once: boolean
  readonly keep: boolean
  #forked = false

  constructor({ dir, once, keep }: BenchOptions) {
    this.once = once
    this.keep = keep
    mkdirSync(dir, { recursive: true })
    this.dir = keep ? join(dir, 'jobledger-bench') : mkdtempSync(join(dir, 'jobledger-bench-'))
    mkdirSync(this.dir, { recursive: true })
  }

  /** How much to do: the real thing, or one tiny iteration that only shows that the case still works. */
  size(full: number, once: number): number {
    return this.once ? once : full
  }

  /** A file that is not there yet. */
  file(name: string): string {
    const path = join(this.dir, `${name}.db`)
    removeDatabase(path)
    removeDatabase(viewsOf(path))
    return path
  }

  /** An empty folder that is not there yet. */
  folder(name: string): string {
    return mkdtempSync(join(this.dir, `${name}-`))
  }

  /** The same file of an earlier run, if files are kept. */
  kept(name: string): string | undefined {
    const path = join(this.dir, `${name}.db`)
    return this.keep && existsSync(path) ? path : undefined
  }

  run<Args extends Message, Result extends Message>(task: Task<Args, Result>, args: Args): Promise<Result> {
    // One tiny iteration measures nothing: one fresh process shows that this way works, the others would only take time.
    if (this.once && this.#forked) return task.work(args)
    this.#forked = true
    return runTask(task, args, LIMIT_MS)
  }

  /** Leaves nothing behind, unless files are kept. */
  clear(): void {
    if (!this.keep) rmSync(this.dir, { recursive: true, force: true })
  }
}

export const viewsOf = (path: string): string => `${path}-views`

export function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
}
