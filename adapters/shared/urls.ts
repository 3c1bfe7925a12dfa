/** For the message about a URL that cannot be used. */
export const URL_FORMS = '"memory:", "sqlite:<path>", "postgres://..." or "esdb://..."'

/** Of such a URL, for the message. A password may have any character, and may stand behind the `?`, too. */
export function withoutPassword(url: unknown): unknown {
  return typeof url === 'string' ? url.replace(/^([a-z+]*:(?:\/\/)?)?.*@/s, '$1...@').replace(/\?.*/s, '?...') : url
}

/** The file of a SQLite ledger; undefined for another one. */
export const sqlitePath = (url: string): string | undefined => /^sqlite:(?:\/\/(?=\/))?(.+)$/s.exec(url)?.[1]

/** Where the archive of a SQLite ledger is, unless somebody says otherwise. */
export function archiveBeside(place: unknown): string | undefined {
  const path = typeof place === 'string' ? sqlitePath(place) : undefined
  return path === undefined ? undefined : `${path}-archive`
}
