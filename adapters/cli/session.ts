/** What every verb begins with: the global options, where the ledger is, who speaks, and how. */
import { statSync } from 'node:fs'
import type { Command } from 'commander'
import type { Ledger } from '../../runtime/ledger.js'
import type { Logger } from '../../runtime/ports/logger.js'
import type { OpenLedgerOptions } from '../open-ledger.js'
import { sqlitePath } from '../shared/urls.js'
import { CliError } from './exit-codes.js'
import { JsonLogger, type LogLevel } from './logger.js'
import { Output } from './output.js'

export interface GlobalOptions {
  readonly ledger?: string
  readonly archive?: string
  readonly json?: boolean
  readonly quiet?: boolean
  readonly color: boolean
  readonly logLevel?: LogLevel
  readonly as?: string
  readonly reason?: string
}

export const DEFAULT_LEDGER = 'sqlite:./jobledger.db'

export class Session {
  readonly output: Output
  readonly log: Logger
  /** --reason: why it is done. */
  readonly reason: string | undefined
  /** Where the archive is, if anybody has said. */
  readonly storage: Pick<OpenLedgerOptions, 'archive'>
  readonly #user: string | undefined
  readonly #asked: string | undefined

  /** `defaultLevel`: what a verb logs when nobody says how much. */
  constructor(command: Command, defaultLevel: LogLevel = 'error') {
    const {
      json = false,
      quiet = false,
      color,
      logLevel,
      ledger,
      archive,
      as,
      reason,
    } = command.optsWithGlobals<GlobalOptions>()
    this.output = new Output({ json, quiet, color })
    this.log = new JsonLogger(logLevel ?? (quiet ? 'error' : defaultLevel))
    this.reason = reason
    this.#user = as
    this.#asked = ledger ?? (process.env.JOBLEDGER_URL || undefined)
    const folder = archive ?? (process.env.JOBLEDGER_ARCHIVE || undefined)
    this.storage = folder === undefined ? {} : { archive: folder }
  }

  /** Flag, then environment, then a config file's own word, then the default. */
  url(configured: string = DEFAULT_LEDGER): string {
    return toUrl(this.#asked ?? configured)
  }

  /** Runs `work` on the ledger, which must be there already. Reading must not leave an empty ledger behind. */
  async read<Result>(work: (ledger: Ledger) => Promise<Result>): Promise<Result> {
    const url = this.url()
    requireLedger(url)
    return withLedger({ url, logger: this.log, ...this.storage }, work)
  }

  /** As `read`, for what changes something: it is recorded who does it, and why. */
  async act<Result>(work: (ledger: Ledger) => Promise<Result>): Promise<Result> {
    this.checkActor()
    return this.read((ledger) => work(this.speaking(ledger)))
  }

  /** Throws USAGE for a reason that is nobody's. Before the ledger is opened: that may make one. */
  checkActor(): void {
    if (this.reason === undefined || this.#user !== undefined) return
    throw new CliError('USAGE', '--reason needs --as <user>: a reason is recorded with who had it.')
  }

  /** The ledger, speaking for who is named with --as. */
  speaking(ledger: Ledger): Ledger {
    if (this.#user === undefined) return ledger
    return ledger.as({ user: this.#user, ...(this.reason !== undefined && { reason: this.reason }) })
  }
}

/** The engine is loaded when a ledger is opened: help and bad usage are told without it. */
export async function open(options: OpenLedgerOptions): Promise<Ledger> {
  const { openLedger } = await import('../open-ledger.js')
  return openLedger(options)
}

/** A glance at a ledger fires no triggers: that is for processes which stay. */
export async function withLedger<Result>(
  options: OpenLedgerOptions,
  work: (ledger: Ledger) => Promise<Result>,
): Promise<Result> {
  const ledger = await open({ ...options, scheduler: false })
  try {
    return await work(ledger)
  } finally {
    await ledger.close()
  }
}

/** A bare path is a SQLite ledger. One letter before the colon is a drive. */
export function toUrl(text: string): string {
  const url = /^[a-z][a-z0-9+.-]+:/i.test(text) ? text : `sqlite:${text}`
  if (url !== 'memory:') return url
  throw new CliError('USAGE', 'A memory: ledger ends with its process. Give a file: --ledger sqlite:./jobs.db')
}

/** Throws LEDGER_MISSING where there is no file, or only an empty one. */
export function requireLedger(url: string): void {
  const path = sqlitePath(url)
  if (path === undefined || statSync(path, { throwIfNoEntry: false })?.size) return
  throw new CliError(
    'LEDGER_MISSING',
    `There is no ledger at ${path}. Enqueue a job to make one, or name another with --ledger.`,
  )
}

/** A URL for a message: without user and password, which may stand behind the `?`, too. */
export function shown(url: string): string {
  if (sqlitePath(url) !== undefined) return url
  return url.replace(/\/\/.*@/s, '//').replace(/([?&][^=&]*(?:pass|secret)[^=&]*=)[^&]*/gi, '$1...')
}
