/** Which events an event trigger fires on. */
import { InvalidOption } from '../errors.js'
import type { Json } from '../event.js'
import { sameJson } from '../json.js'

/** Storage format. What is absent restricts nothing. */
export interface EventRule {
  /** Exact; with a `*` at its end: every type that begins like this. */
  readonly type: string
  readonly verbs?: readonly string[]
  /** Without a selector: the id of the event, or of something it lies within. */
  readonly values?: readonly string[]
  /** Dot path to a field of the document, which has one of the values now or had it before; the value `!=`: it has changed. */
  readonly selector?: string
}

/** A change to something outside, as a source reports it. */
export interface SourceEvent {
  readonly type: string
  readonly verb: string
  readonly id?: string
  /** After the change; absent when it was deleted. */
  readonly document?: Json
  /** Before the change; absent when it was created. */
  readonly old?: Json
  /** Ids of all that contains it, where it is and where it was. */
  readonly within?: readonly string[]
}

/** No other verb ever matches: it is internal to its source. */
const VERBS: readonly string[] = ['CREATED', 'UPDATED', 'DELETED']
const CHANGED = '!='

const MASKS =
  'rules type[:VERB,VERB[:value,value[:selector]]] separated by spaces, with verbs CREATED, UPDATED or DELETED, ' +
  'or an array of { type, verbs, values, selector }'
const KEYS: readonly string[] = ['type', 'verbs', 'values', 'selector']

/** Throws InvalidOption that names `option`. */
export function toRules(when: unknown, option: string): EventRule[] {
  const given = typeof when === 'string' ? when.split(/\s+/).filter(Boolean).map(readMask) : when
  if (!Array.isArray(given) || given.length === 0) throw new InvalidOption(option, MASKS, when)
  return given.map((rule: unknown) => {
    const fault = faultOf(rule)
    if (fault !== undefined)
      throw new InvalidOption(option, `${MASKS}; ${fault}`, typeof when === 'string' ? when : rule)
    const { type, verbs, values, selector } = rule as EventRule
    return {
      type,
      ...(verbs !== undefined && { verbs: [...verbs] }),
      ...(values !== undefined && { values: [...values] }),
      ...(selector !== undefined && { selector }),
    }
  })
}

/** undefined: it has more parts than there are. */
function readMask(mask: string): EventRule | undefined {
  const [type = '', verbs, values, selector, ...more] = mask.split(':')
  if (more.length > 0) return undefined
  return {
    type,
    ...(verbs !== undefined && { verbs: verbs.split(',') }),
    ...(values !== undefined && { values: values.split(',') }),
    ...(selector !== undefined && { selector }),
  }
}

function faultOf(rule: unknown): string | undefined {
  if (typeof rule !== 'object' || rule === null) return 'a rule has these four parts'
  if (Object.keys(rule).some((key) => !KEYS.includes(key))) return 'a rule has these four parts'
  const { type, verbs, values, selector } = rule as Partial<Record<keyof EventRule, unknown>>
  if (!isText(type) || type.slice(0, -1).includes('*')) return 'a type is not empty and has `*` at its end only'
  if (verbs !== undefined && !isList(verbs, (verb) => VERBS.includes(verb))) return 'there are three verbs'
  if (values !== undefined && !isList(values, isText)) return 'a value is not empty'
  if (selector === undefined)
    return (values as unknown[] | undefined)?.includes(CHANGED) ? '`!=` needs a selector' : undefined
  if (!isText(selector) || selector.split('.').includes('')) return 'a selector is a path such as "metadata.status"'
  return values === undefined ? 'a selector needs values' : undefined
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

function isList(value: unknown, isItem: (item: string) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string' && isItem(item))
}

/**
 * Does any of the rules match? Of a field a value may be as it is or as it was: what leaves a state matches, too. With `asItWas`
 * false only what comes into it does.
 */
export function matches(rules: readonly EventRule[], event: SourceEvent, asItWas = true): boolean {
  return VERBS.includes(event.verb) && rules.some((rule) => matchesRule(rule, event, asItWas))
}

function matchesRule({ type, verbs, values, selector }: EventRule, event: SourceEvent, asItWas: boolean): boolean {
  const isType = type.endsWith('*') ? event.type.startsWith(type.slice(0, -1)) : event.type === type
  if (!isType || verbs?.includes(event.verb) === false) return false
  if (values === undefined) return true
  if (selector !== undefined) return values.some((value) => matchesField(value, selector.split('.'), event, asItWas))
  return values.some((value) => value === event.id || event.within?.includes(value) === true)
}

function matchesField(
  value: string,
  path: readonly string[],
  { document, old }: SourceEvent,
  asItWas: boolean,
): boolean {
  const [now, before] = [fieldOf(document, path), fieldOf(old, path)]
  if (value !== CHANGED) return says(now, value) || (asItWas && says(before, value))
  return document === undefined || old === undefined || !sameJson(now, before)
}

/** What a document has at the end of a path; undefined: nothing. */
function fieldOf(document: Json | undefined, path: readonly string[]): Json | undefined {
  let field = document
  for (const key of path) {
    if (typeof field !== 'object' || field === null) return undefined
    // An array has a `length` of its own, which is no part of the document.
    if (Array.isArray(field) ? !/^\d+$/.test(key) : !Object.hasOwn(field, key)) return undefined
    field = (field as Readonly<Record<string, Json>>)[key]
  }
  return field
}

function says(field: Json | undefined, value: string): boolean {
  if (Array.isArray(field)) return field.some((item: Json) => says(item, value))
  return field !== undefined && (typeof field !== 'object' || field === null) && String(field) === value
}
