/** Types whose handler is a module that runs in child processes. */
import type { Duration } from '../../../domain/duration.js'
import { toMs } from '../../../domain/duration.js'
import { InvalidOption } from '../../../domain/errors.js'
import { checkKeys, toCount } from '../../checks.js'
import type { IsolatedModule } from '../../ports/isolation.js'

/** How the child processes of a type are kept. */
export interface IsolateOptions {
  /**
   * What one child may use in all: MiB, or a text such as `512MB`; at least 128 MiB. 64 MiB less is left to its JavaScript heap.
   * One that uses more is killed and the attempt has failed. Default: no limit but Node's own.
   */
  readonly memory?: number | string
  /** Runs one child serves before another takes its place, default 1,000; 1: a process of its own for each run. */
  readonly runs?: number
  /** How long a child that has nothing to do is kept, default 10 s. */
  readonly idle?: Duration
  /** Options of Node for the child, e.g. `['--import', 'tsx']`. Those of this process are not handed on. Default none. */
  readonly execArgv?: readonly string[]
}

/** What `defineJob` takes instead of a handler. */
export interface IsolationOptions {
  /** `process`: the handler of `module` runs in a child process, one run at a time in each. */
  readonly isolate?: 'process' | IsolateOptions
  /**
   * Whose default export, or export `handle`, is the handler: a `file:` URL or an absolute path, as in
   * `new URL('./resize.js', import.meta.url)`. Loaded in the child processes only, as Node loads it.
   */
  readonly module?: URL | string
}

const KEYS = new Set(['memory', 'runs', 'idle', 'execArgv'])
const MODULE = 'a file: URL or an absolute path'

/** undefined: the type runs in this thread, or nowhere. Throws InvalidOption. */
export function toIsolated(options: IsolationOptions & { readonly handle?: unknown }): IsolatedModule | undefined {
  const { isolate, module, handle } = options
  if (isolate === undefined) {
    if (module === undefined) return undefined
    throw new InvalidOption('defineJob.isolate', '"process" or its options, where there is a module', isolate)
  }
  if (handle !== undefined) throw new InvalidOption('defineJob.handle', 'left out where a module is isolated', handle)
  if (module === undefined) throw new InvalidOption('defineJob.module', MODULE, module)
  const given = isolate === 'process' ? {} : isolate
  if (typeof given !== 'object') throw new InvalidOption('defineJob.isolate', '"process" or an object', isolate)
  checkKeys(given, KEYS, 'defineJob.isolate')
  const { memory, runs = 1_000, idle = '10s', execArgv = [] } = given
  return {
    module: toPath(module),
    memoryMiB: memory === undefined ? undefined : toMemory(memory),
    runs: toCount(runs, 'defineJob.isolate.runs', 1),
    idleMs: toMs(idle, 'defineJob.isolate.idle'),
    execArgv: toArguments(execArgv),
  }
}

function toPath(module: unknown): string {
  const text = module instanceof URL ? module.href : module
  if (typeof text === 'string' && /^(file:\/\/|\/|[a-z]:[\\/])/i.test(text)) return text
  throw new InvalidOption('defineJob.module', MODULE, module)
}

const UNITS = { MB: 1, GB: 1_024 } as const

function toMemory(memory: unknown): number {
  const [, size = '', unit = 'MB'] = /^(\d+(?:\.\d+)?)\s*(MB|GB)$/i.exec(typeof memory === 'string' ? memory : '') ?? []
  const mib = typeof memory === 'number' ? memory : Math.round(Number(size) * UNITS[unit.toUpperCase() as 'MB' | 'GB'])
  if (Number.isSafeInteger(mib) && mib >= 128 && mib <= 2 ** 30) return mib
  throw new InvalidOption('defineJob.isolate.memory', 'at least 128: MiB, or a text as 512MB or 2GB', memory)
}

function toArguments(execArgv: unknown): readonly string[] {
  if (Array.isArray(execArgv) && execArgv.every((argument) => typeof argument === 'string')) return [...execArgv]
  throw new InvalidOption('defineJob.isolate.execArgv', 'an array of texts', execArgv)
}
