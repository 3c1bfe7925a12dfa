/** The config file of a worker: what it runs, and how. JavaScript or TypeScript, loaded by jiti. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { InvalidOption } from '../../domain/errors.js'
import { DuplicateType } from '../../runtime/errors.js'
import type { CloseOptions, LedgerOptions, StartOptions } from '../../runtime/options.js'
import { checkCloseOptions, checkLedgerOptions, checkStartOptions } from '../../runtime/options.js'
import type { OpenLedgerOptions } from '../open-ledger.js'
import { CliError, messageOf } from './exit-codes.js'

/** The default export of a config file. */
export interface WorkerConfig
  extends Omit<LedgerOptions, 'logger' | 'jobs'>,
    Pick<OpenLedgerOptions, 'url' | 'durability'>,
    StartOptions,
    CloseOptions {
  readonly jobs: NonNullable<LedgerOptions['jobs']>
}

const KEYS: readonly (keyof WorkerConfig)[] = [
  'jobs',
  'url',
  'durability',
  'maxPayloadBytes',
  'codeVersion',
  'concurrency',
  'queues',
  'lease',
  'drain',
  'timeout',
]

/** Throws USAGE that names the file and what is wrong in it. */
export async function loadConfig(file: string): Promise<WorkerConfig> {
  const path = resolve(file)
  if (!existsSync(path)) throw new CliError('USAGE', `There is no config file ${path}.`)
  const exported = await evaluate(path, file)
  try {
    return check(exported)
  } catch (cause) {
    if (!(cause instanceof InvalidOption || cause instanceof DuplicateType)) throw cause
    throw new CliError('USAGE', `${file}: ${messageOf(cause)}`, { cause })
  }
}

async function evaluate(path: string, file: string): Promise<unknown> {
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
    if (!KEYS.includes(key as keyof WorkerConfig)) throw new InvalidOption(key, `one of ${KEYS.join(', ')}`, key)
  }
  const config = exported as WorkerConfig
  const { url, jobs, durability } = config
  if (!Array.isArray(jobs) || jobs.length === 0) throw new InvalidOption('jobs', 'an array of job definitions', jobs)
  if (url !== undefined && typeof url !== 'string') throw new InvalidOption('url', 'a text', url)
  if (durability !== undefined && durability !== 'full' && durability !== 'normal') {
    throw new InvalidOption('durability', '"full" or "normal"', durability)
  }
  checkLedgerOptions(ledgerPart(config))
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

export const ledgerPart = (config: WorkerConfig): LedgerOptions =>
  pick(config, ['jobs', 'maxPayloadBytes', 'codeVersion'])
export const startPart = (config: WorkerConfig): StartOptions => pick(config, ['concurrency', 'queues', 'lease'])
export const closePart = (config: WorkerConfig): CloseOptions => pick(config, ['drain', 'timeout'])
