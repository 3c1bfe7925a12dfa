/** What stands behind a flag, read and checked. Errors name the flag. */
import { readFileSync } from 'node:fs'
import { text as readAll } from 'node:stream/consumers'
import type { BackoffOptions } from '../../domain/backoff.js'
import { toBackoff } from '../../domain/backoff.js'
import { toMs } from '../../domain/duration.js'
import { InvalidOption } from '../../domain/errors.js'
import type { DependencyOption } from '../../runtime/write/enqueue-options.js'
import { toInstant } from '../../runtime/write/enqueue-options.js'
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

/** `30s`, `1h30m`; a bare number is ms. The text is kept as it was given. */
export function duration(flag: string): Parse<number> {
  return (text) => toMs(/^\d+$/.test(text) ? Number(text) : text, flag)
}

/** A word that stands for "no limit", else what `parse` makes of it. The word itself comes back: commander has no null. */
export function orWord<Word extends string, Value>(word: Word, parse: Parse<Value>): Parse<Value | Word> {
  return (text) => (text === word ? word : parse(text))
}

/** ISO 8601 with a zone, or ms since the epoch. */
export function instant(flag: string): Parse<number> {
  return (text) => toInstant(/^\d+$/.test(text) ? Number(text) : text, flag)
}

/** A flag that may be given several times. */
export function repeated<Value>(parse: Parse<Value>): (text: string, before: readonly Value[] | undefined) => Value[] {
  return (text, before = []) => [...before, parse(text)]
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

/** `min=1s,max=5m,factor=2,jitter=full`, any of them. */
export function backoff(text: string): BackoffOptions {
  const given: Record<string, string | number> = {}
  for (const part of text.split(',')) {
    const [, key = '', value = ''] = /^(min|max|factor|jitter)=(.+)$/.exec(part.trim()) ?? []
    if (key === '') throw new InvalidOption('--backoff', 'like min=1s,max=5m,factor=2,jitter=full', text)
    given[key] = /^\d+(\.\d+)?$/.test(value) ? Number(value) : value
  }
  toBackoff(given as BackoffOptions, '--backoff')
  return given as BackoffOptions
}

/** The payload from its argument, from stdin (`-`) or from a file; an empty object when there is none. */
export async function readPayload(argument: string | undefined, file: string | undefined): Promise<unknown> {
  if (argument !== undefined && file !== undefined) {
    throw new CliError('USAGE', 'Give the payload as an argument or with --file, not both.')
  }
  if (file !== undefined) return toJson(readText(file), file)
  if (argument === undefined) return {}
  return argument === '-' ? toJson(await readAll(process.stdin), 'stdin') : toJson(argument, 'the payload')
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CliError('USAGE', `Cannot read --file ${file}: ${(cause as Error).message}`, { cause })
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
