import { InvalidOption } from '../../domain/errors.js'
import type { SearchPaths } from '../../projections/read-models/payload-paths.js'
import { toName } from '../checks.js'

const PATHS_MAX = 20

/** Paths into a payload: keys joined by dots. Throws InvalidOption. */
export function toSearchPaths(value: unknown, option: string): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value) || value.length > PATHS_MAX) {
    throw new InvalidOption(option, `an array of at most ${PATHS_MAX} paths, as 'customer.id'`, value)
  }
  const paths = value.map((path: unknown, index) => toPath(path, `${option}[${index}]`))
  const twice = paths.find((path, index) => paths.indexOf(path) !== index)
  if (twice !== undefined) throw new InvalidOption(option, 'paths that differ', twice)
  return paths
}

function toPath(value: unknown, option: string): string {
  const path = toName(value, option)
  if (!path.split('.').includes('')) return path
  throw new InvalidOption(option, "keys joined by dots, as 'customer.id'", value)
}

/** Name under which all that was ever declared is kept beside the tables, for processes that do not know the types. */
export const SEARCH_FOLD = 'search'

/** What processes have declared, this one's last; `text`: where it says more than what is kept. */
export function mergedPaths(
  kept: string | undefined,
  own: SearchPaths,
): { readonly paths: SearchPaths; readonly text: string | undefined } {
  const known = JSON.parse(kept ?? '{}') as Record<string, readonly string[]>
  const paths = new Map([...Object.entries(known), ...own])
  const text = JSON.stringify(Object.fromEntries([...paths].sort(([a], [b]) => (a < b ? -1 : 1))))
  return { paths, text: text === (kept ?? '{}') ? undefined : text }
}
