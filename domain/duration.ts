import { InvalidOption } from './errors.js'

/** A time span: a number of milliseconds, or text with units (`250ms`, `30s`, `1h30m`, `1.5h`, `2d`, `1w`). */
export type Duration = number | string

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/
const PART = /(\d+(?:\.\d+)?)(ms|[smhdw])/g
const EXPECTED = 'a duration (a number of ms >= 0, or text such as "30s", "1h30m")'

/** Milliseconds, rounded to whole ones. Throws InvalidOption that names `option`. */
export function toMs(duration: Duration, option: string): number {
  const ms = typeof duration === 'number' ? duration : textToMs(duration)
  if (!Number.isFinite(ms) || ms < 0) throw new InvalidOption(option, EXPECTED, duration)
  return Math.round(ms)
}

function textToMs(text: unknown): number {
  if (typeof text !== 'string' || !WHOLE.test(text)) return Number.NaN
  let ms = 0
  for (const [, amount, unit] of text.matchAll(PART)) ms += Number(amount) * (MS[unit as string] as number)
  return ms
}

/** The two largest units that say something: `1h 30m`, `12s`, `350ms`. */
export function formatMs(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`
  const parts: string[] = []
  let rest = ms
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = MS[unit] as number
    const amount = unit === 's' && parts.length === 0 ? Math.round(rest / 100) / 10 : Math.floor(rest / size)
    if (amount > 0) parts.push(`${amount}${unit}`)
    rest -= Math.floor(amount) * size
  }
  return parts.slice(0, 2).join(' ')
}
