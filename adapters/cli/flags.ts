/** What stands behind a flag, read and checked. Errors name the flag. */
import { readFileSync } from 'node:fs'
import { text as readAll } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import type { BackoffOptions } from '../../domain/backoff.js'
import { toBackoff } from '../../domain/backoff.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import { toInstant } from '../../domain/instant.js'
import { toLabel, toName, toPriority } from '../../runtime/checks.js'
import type { DependencyOption } from '../../runtime/write/contract.js'
import { CliError } from './exit-codes.js'

type Parse<Value> = (text: string) => Value

/** `least` or more. */
export function integer(flag: string, least: number = Number.MIN_SAFE_INTEGER): Parse<number> {
  return (text) => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
    if (Number.isSafeInteger(value) && value >= least) return value
    throw new InvalidOption(flag, least < 0 ? 'an integer' : `an integer >= ${least}`, text)
  }
}

/** `30s`, `1h30m`; a bare number is ms. */
export function duration(flag: string): Parse<number> {
  return (text) => toMs(/^\d+$/.test(text) ? Number(text) : text, flag)
}

/** One that is not over at once. */
export function span(flag: string): Parse<number> {
  return (text) => {
    const ms = duration(flag)(text)
    if (ms > 0) return ms
    throw new InvalidOption(flag, 'a duration above 0', text)
  }
}

/** A word that stands for "no limit", else what `parse` makes of it. The word itself comes back: commander has no null. */
export function orWord<Word extends string, Value>(word: Word, parse: Parse<Value>): Parse<Value | Word> {
  return (text) => (text === word ? word : parse(text))
}

/** ISO 8601 with a zone, or ms since the epoch. */
export function instant(flag: string): Parse<number> {
  return (text) => toInstant(/^\d+$/.test(text) ? Number(text) : text, flag)
}

/** A number, or one of the names for common ones. */
export function priority(flag: string): Parse<number> {
  return (text) => toPriority(/^[+-]?\d+$/.test(text) ? Number(text) : text, flag)
}

/** 1 to 200 characters. */
export function name(flag: string): Parse<string> {
  return (text) => toName(text, flag)
}

/** As `name`; '' is one, too. */
export function label(flag: string): Parse<string> {
  return (text) => toLabel(text, flag)
}

/** As `choices` of commander, for what may be repeated. */
export function oneOf<Word extends string>(flag: string, words: readonly Word[]): Parse<Word> {
  return (text) => {
    const word = words.find((one) => one === text)
    if (word !== undefined) return word
    throw new InvalidOption(flag, `one of ${words.join(', ')}`, text)
  }
}

const BYTES: Readonly<Record<string, number>> = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }

/** `65536`, `64MiB`. */
export function size(flag: string): Parse<number> {
  return (text) => {
    const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]iB)?$/.exec(text) ?? []
    const bytes = Math.round(Number(amount) * (BYTES[unit] as number))
    if (amount !== '' && Number.isSafeInteger(bytes)) return bytes
    throw new InvalidOption(flag, 'a size, such as 65536, 64MiB or 1.5GiB', text)
  }
}

/** W3C Trace Context: version, trace id, parent id, flags. */
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/

export function traceparent(text: string): string {
  if (TRACEPARENT.test(text)) return text
  throw new InvalidOption('--traceparent', 'like 00-<32 hex>-<16 hex>-<2 hex>, in lower case', text)
}

/** A flag that may be given several times. */
export function repeated<Value>(parse: Parse<Value>): (text: string, before: readonly Value[] | undefined) => Value[] {
  return (text, before = []) => [...before, parse(text)]
}

/** Which jobs a verb is about. Any of the values given will do. */
export interface FilterFlags {
  readonly type?: string[]
  readonly queue?: string[]
  readonly channel?: string[]
}

export function addFilter(command: Command): Command {
  return command
    .option('--type <type>', 'job type; may be repeated, as the next two', repeated(String))
    .option('--queue <name>', 'queue', repeated(String))
    .option('--channel <name>', 'channel', repeated(String))
}

export function filterOf({ type, queue, channel }: FilterFlags): FilterFlags {
  return { ...(type && { type }), ...(queue && { queue }), ...(channel && { channel }) }
}

export interface PageFlags {
  readonly limit?: number
  readonly cursor?: string
}

export function addPage(command: Command): Command {
  return command
    .option('--limit <n>', 'jobs on a page, at most 1000 (default: 50)', integer('--limit', 1))
    .option('--cursor <cursor>', 'the page after the one that gave this cursor')
}

/** When a job is to run, for the verbs that may say so. */
export function addRunTime(command: Command): Command {
  return command
    .option('--run-at <instant>', 'not before: ISO 8601 with a zone, or ms since the epoch', instant('--run-at'))
    .addOption(
      new Option('--delay <duration>', 'not before this long from now: 90s, 1h30m')
        .argParser(duration('--delay'))
        .conflicts('runAt'),
    )
}

/** `id`, `id:finished`, `id:cancel`, `id:succeeded:run`: what is left out is `succeeded` and `block`. */
export function dependency(text: string): DependencyOption {
  const [, id = '', on, otherwise] = /^(.*?)(?::(succeeded|finished))?(?::(block|cancel|run))?$/s.exec(text) ?? []
  if (id === '') throw new InvalidOption('--depends-on', '<id>[:succeeded|:finished][:block|:cancel|:run]', text)
  return {
    id,
    ...(on !== undefined && { on: on as 'succeeded' | 'finished' }),
    ...(otherwise !== undefined && { otherwise: otherwise as 'block' | 'cancel' | 'run' }),
  }
}

/** `min=1s,max=5m,factor=2,jitter=full,limit=5,expiration=1h`, any of them; `limit` and `expiration` may be `none`. */
export function backoff(text: string): BackoffOptions {
  const given: Record<string, string | number | null> = {}
  for (const part of text.split(',')) {
    const [, key = '', value = ''] = /^(min|max|factor|jitter|limit|expiration)=(.+)$/.exec(part.trim()) ?? []
    if (key === '') throw new InvalidOption('--backoff', `like ${BACKOFF_EXAMPLE}`, text)
    const isOpen = value === 'none' && (key === 'limit' || key === 'expiration')
    given[key] = isOpen ? null : /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
  }
  toBackoff(given as BackoffOptions, '--backoff')
  return given as BackoffOptions
}

const BACKOFF_EXAMPLE = 'min=1s,max=5m,factor=2,jitter=full,limit=5,expiration=1h'

/** The payload from its argument or flag, from stdin (`-`) or from a file; an empty object when there is none. */
export async function readPayload(argument: string | undefined, file: string | undefined): Promise<unknown> {
  if (argument !== undefined && file !== undefined) {
    throw new CliError('USAGE', 'Give the payload itself or with --file, not both.')
  }
  if (file !== undefined) return toJson(textOf('--file', file), file)
  if (argument === undefined) return {}
  return argument === '-' ? toJson(await readAll(process.stdin), 'stdin') : toJson(argument, 'the payload')
}

/** Of the file that a flag names. */
export function textOf(flag: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    // A key in place of its file is not to be seen anywhere.
    if (file.includes('PRIVATE+KEY')) throw new CliError('USAGE', `${flag} takes a file, and was given a private key.`)
    throw new CliError('USAGE', `Cannot read ${flag} ${file}: ${(cause as Error).message}`, { cause })
  }
}

function toJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const hint = source === 'the payload' ? ` In a shell, quote it: '{"to":"a@b.c"}'` : ''
    throw new CliError('USAGE', `Expected ${source} to be JSON: ${(cause as Error).message}.${hint}`, { cause })
  }
}
