/**
 * Hourly, daily, weekly, monthly: not all at the same minute. A phrase says which days and hours are welcome; each trigger
 * gets a slot among them, to the second, that follows from its seed.
 */
import { InvalidOption } from '../errors.js'
import { hash } from '../hash.js'

export type Frequency = 'hourly' | 'daily' | 'weekly' | 'monthly'

/** Where a slot may lie: hours `from` to before `to`; days of the week (0 is Sunday) or of the month. */
interface Room {
  readonly days: readonly number[]
  readonly from: number
  readonly to: number
}

const WEEK = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const GROUPS: Readonly<Record<string, readonly number[]>> = { weekday: range(1, 5), weekend: [6, 0] }

/** Without a word about days. Every month has those of the month. */
const DAYS: Readonly<Record<Frequency, readonly number[]>> = {
  hourly: [0],
  daily: [0],
  weekly: range(0, 6),
  monthly: range(1, 28),
}

const HOURS = '"before 5am", "after 10pm", "between 8am and 6pm"'
const EXPECTED: Readonly<Record<Frequency, string>> = {
  hourly: `a phrase such as ${HOURS}`,
  daily: `a phrase such as ${HOURS}`,
  weekly: `a phrase such as "on mon,wed-fri", "on weekday", ${HOURS}, or several of them`,
  monthly: `a phrase such as "on the 1,5-7", ${HOURS}, or several of them`,
}

/**
 * A cron expression of 6 fields: the slot of `seed` among those that the phrase allows. Months without a day that was asked for
 * are left out. Throws InvalidOption that names `option`.
 */
export function toSlot(frequency: Frequency, phrase: unknown, seed: string, option: string): string {
  const room = typeof phrase === 'string' ? toRoom(frequency, phrase) : undefined
  if (room === undefined) throw new InvalidOption(option, EXPECTED[frequency], phrase)
  const { days, from, to } = room
  const slot = hash(seed)
  const minute = `${slot % 60} ${Math.floor(slot / 60) % 60}`
  if (frequency === 'hourly') return `${minute} ${hoursOf(room)} * * *`
  const rest = Math.floor(slot / 3_600)
  const hour = from + (rest % (to - from))
  const day = days[Math.floor(rest / (to - from)) % days.length]
  if (frequency === 'daily') return `${minute} ${hour} * * *`
  return frequency === 'weekly' ? `${minute} ${hour} * * ${day}` : `${minute} ${hour} ${day} * *`
}

/** The step makes it follow the clock: no firing in place of an hour that a day does not have, two in one that it has twice. */
function hoursOf({ from, to }: Room): string {
  return to - from === 24 ? '*' : `${from}-${to - 1}/1`
}

const CLAUSE =
  /(?:on (?<days>(?:the )?\S+)|after (?<after>\S+)|before (?<before>\S+)|between (?<since>\S+) and (?<until>\S+))(?: |$)/gy

/** undefined: no such phrase, or one that leaves nothing. */
function toRoom(frequency: Frequency, phrase: string): Room | undefined {
  const text = phrase.toLowerCase().split(/\s+/).filter(Boolean).join(' ')
  const clauses = [...text.matchAll(CLAUSE)]
  if (clauses.map(([clause]) => clause).join('') !== text) return undefined
  const said = (...names: string[]): string[] =>
    clauses.flatMap(({ groups }) => names.flatMap((name) => groups?.[name] ?? []))
  const days = one(said('days'), DAYS[frequency], (list) => daysOf(frequency, list))
  const from = one(said('after', 'since'), 0, hourOf)
  const to = one(said('before', 'until'), 24, endOf)
  if (days === undefined || from === undefined || to === undefined || from >= to) return undefined
  return { days, from, to }
}

/** Said twice, one of the two would be of no effect. */
function one<Part>(
  said: readonly string[],
  otherwise: Part,
  read: (text: string) => Part | undefined,
): Part | undefined {
  const [text] = said
  if (text === undefined) return otherwise
  return said.length === 1 ? read(text) : undefined
}

function hourOf(text: string): number | undefined {
  const [, hour, half] = /^(1[0-2]|0?[1-9])(am|pm)$/.exec(text) ?? []
  return hour === undefined ? undefined : (Number(hour) % 12) + (half === 'pm' ? 12 : 0)
}

/** Midnight ends a day as well as it begins one. */
const endOf = (text: string): number | undefined => (hourOf(text) === 0 ? 24 : hourOf(text))

function daysOf(frequency: Frequency, list: string): number[] | undefined {
  const ofMonth = list.startsWith('the ')
  if (frequency !== (ofMonth ? 'monthly' : 'weekly')) return undefined
  const items = (ofMonth ? list.slice('the '.length) : list).split(',')
  const days = items.map((item) => (ofMonth ? datesOf(item) : weekdaysOf(item)))
  if (days.includes(undefined)) return undefined
  return [...new Set(days.flatMap((day) => day ?? []))].sort((a, b) => a - b)
}

function datesOf(item: string): readonly number[] | undefined {
  const [, first, last = first] = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(item) ?? []
  const [from, to] = [Number(first), Number(last)]
  const isRange = first !== last ? from < to : !item.includes('-')
  return isRange && from >= 1 && to <= 31 ? range(from, to) : undefined
}

/** A week has no end: `fri-mon` are four days. */
function weekdaysOf(item: string): readonly number[] | undefined {
  if (Object.hasOwn(GROUPS, item)) return GROUPS[item]
  const [from, to = from, ...more] = item.split('-').map(weekdayOf)
  if (from === undefined || to === undefined || more.length > 0) return undefined
  if (from === to) return item.includes('-') ? undefined : [from]
  return range(from, from < to ? to : to + 7).map((day) => day % 7)
}

function weekdayOf(name: string): number | undefined {
  const day = WEEK.findIndex((full) => name === full || name === full.slice(0, 3))
  return day < 0 ? undefined : day
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}
