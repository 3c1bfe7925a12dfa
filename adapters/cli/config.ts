/** The config file of a worker: what it runs, and how. JavaScript or TypeScript, loaded by jiti. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { InvalidOption } from '../../domain/errors.js'
import type { CloseOptions, LedgerOptions } from '../../runtime/options.js'
import { checkCloseOptions } from '../../runtime/options.js'
import type { StartOptions } from '../../runtime/start-options.js'
import { checkStartOptions, checkTypes } from '../../runtime/start-options.js'
import type { OpenLedgerOptions } from '../open-ledger.js'
import { CliError, EXIT, exitCodeOf, messageOf } from './exit-codes.js'
import { withLedger } from './session.js'

/** The default export of a config file. */
export interface WorkerConfig
  extends Omit<LedgerOptions, 'logger' | 'jobs' | 'queues' | 'autoStart'>,
    Pick<OpenLedgerOptions, 'url' | 'durability' | 'archive'>,
    Omit<StartOptions, 'queues'>,
    CloseOptions {
  readonly jobs: NonNullable<LedgerOptions['jobs']>
  /** Serve these queues only; or, by name, what holds for their jobs. */
  readonly queues?: NonNullable<StartOptions['queues']> | NonNullable<LedgerOptions['queues']>
}

/** As `openLedger` takes them, and as `start` does. */
const LEDGER_KEYS = [
  ...(['jobs', 'maxPayloadBytes', 'codeVersion', 'strict', 'conceal'] as const),
  ...(['retention', 'scheduler', 'overrides', 'audit'] as const),
] as const
const START_KEYS = [
  ...(['concurrency', 'perType', 'types', 'channels', 'pools', 'batch', 'poll', 'strategy'] as const),
  ...(['ceilings', 'lease', 'report'] as const),
]
const CLOSE_KEYS = ['drain', 'timeout'] as const
const KEYS: readonly string[] = [
  'jobs',
  'url',
  'durability',
  'archive',
  'queues',
  ...LEDGER_KEYS.slice(1),
  ...START_KEYS,
  ...CLOSE_KEYS,
]

/** Throws USAGE that names the file and what is wrong in it. */
export async function loadConfig(file: string): Promise<WorkerConfig> {
  const exported = await loadDefault(file, 'config file')
  try {
    const config = check(exported)
    // What only opening finds wrong is found in memory: a ledger must not be made by a config that cannot be used.
    await withLedger({ ...ledgerPart(config), url: 'memory:' }, async (ledger) => {
      const runnable = ledger.types().filter((type) => type.runnable)
      checkTypes(checkStartOptions(startPart(config)), new Set(runnable.map(({ type }) => type)))
    })
    return config
  } catch (cause) {
    if (exitCodeOf(cause) !== EXIT.usage) throw cause
    throw new CliError('USAGE', `${file}: ${messageOf(cause)}`, { cause })
  }
}

/** What a module exports by default. Throws USAGE that names the file. */
export async function loadDefault(file: string, what = 'module'): Promise<unknown> {
  const path = resolve(file)
  if (!existsSync(path)) throw new CliError('USAGE', `There is no ${what} ${path}.`)
  try {
    // Loaded here, since most verbs do without it. No cache on disk: it would be litter in somebody else's project.
    const { createJiti } = await import('jiti')
    const module = await createJiti(import.meta.url, { fsCache: false, interopDefault: false }).import<{
      default?: unknown
    }>(path)
    return module.default
  } catch (cause) {
    throw new CliError('USAGE', `${file} cannot be loaded: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    })
  }
}

function check(exported: unknown): WorkerConfig {
  if (typeof exported !== 'object' || exported === null) {
    throw new InvalidOption('the default export', 'an object { jobs: [...], ... }', exported)
  }
  for (const key of Object.keys(exported)) {
    if (!KEYS.includes(key)) throw new InvalidOption(key, `one of ${KEYS.join(', ')}`, key)
  }
  const config = exported as WorkerConfig
  const { url, jobs, durability, queues } = config
  if (!Array.isArray(jobs) || jobs.length === 0) throw new InvalidOption('jobs', 'an array of job definitions', jobs)
  if (url !== undefined && typeof url !== 'string') throw new InvalidOption('url', 'a text', url)
  if (durability !== undefined && durability !== 'full' && durability !== 'normal') {
    throw new InvalidOption('durability', '"full" or "normal"', durability)
  }
  if (queues !== undefined && (typeof queues !== 'object' || queues === null)) {
    throw new InvalidOption('queues', 'an array of names, or an object by name', queues)
  }
  checkStartOptions(startPart(config))
  checkCloseOptions(closePart(config))
  return config
}

/** What is undefined counts as not given. */
function pick<Key extends keyof WorkerConfig>(
  config: WorkerConfig,
  keys: readonly Key[],
): Partial<Pick<WorkerConfig, Key>> {
  const given = keys.filter((key) => config[key] !== undefined).map((key) => [key, config[key]])
  return Object.fromEntries(given) as Partial<Pick<WorkerConfig, Key>>
}

type QueueDefaults = NonNullable<LedgerOptions['queues']>

/** As `openLedger` takes it. An object of queues says what holds for their jobs. */
export function ledgerPart(config: WorkerConfig): LedgerOptions {
  const part = pick(config, LEDGER_KEYS)
  const { queues } = config
  return queues === undefined || Array.isArray(queues) ? part : { ...part, queues: queues as QueueDefaults }
}

/** As `start` takes it. An array of queues says which to serve. */
export function startPart(config: WorkerConfig): StartOptions {
  const part = pick(config, START_KEYS)
  return Array.isArray(config.queues) ? { ...part, queues: config.queues } : part
}

export const closePart = (config: WorkerConfig): CloseOptions => pick(config, CLOSE_KEYS)
