/** What a postgres: URL says, as far as it is not the driver's business. Never the URL itself in a message: it may have a password. */
import { StoreUnusable } from '../../runtime/ports/event-store.js'

const DEFAULT_SCHEMA = 'jobledger'
/** A channel is named after it, and may have 63 bytes. */
const LONGEST_SCHEMA = 50

/** Throws StoreUnusable for what is no postgres: URL. */
export function checkUrl(url: string): void {
  if (!/^postgres(ql)?:\/\//.test(url))
    throw new StoreUnusable('Expected a URL like postgres://user@host:5432/database.')
  // Else what stands before it is taken for a host, and told as one.
  if (/^[a-z]+:\/\/[^@/?#]*[/?#].*@/s.test(url)) {
    throw new StoreUnusable('Expected user and password, and an @ behind the host, to be percent-encoded in the URL.')
  }
}

/** The schema of a log: `given`, else the URL's `?schema=`. Throws StoreUnusable for a name that no schema can have. */
export function schemaOf(url: string | undefined, given: string | undefined): string {
  const schema = given ?? (url === undefined ? undefined : schemaIn(url)) ?? DEFAULT_SCHEMA
  if (typeof schema !== 'string' || schema === '' || Buffer.byteLength(schema) > LONGEST_SCHEMA) {
    throw new StoreUnusable(`Expected the name of a schema, of 1 to ${LONGEST_SCHEMA} bytes, got '${schema}'.`)
  }
  if (/^pg_|^information_schema$|\0/.test(schema)) {
    throw new StoreUnusable(`Expected the name of a schema of its own, got '${schema}', which is PostgreSQL's.`)
  }
  return schema
}

function schemaIn(url: string): string | undefined {
  const raw = /[?&]schema=([^&#]*)/.exec(url)?.[1]
  try {
    return raw === undefined ? undefined : decodeURIComponent(raw.replaceAll('+', ' '))
  } catch {
    throw new StoreUnusable(`Expected \`?schema=\` to be encoded as URLs are, got '${raw}'.`)
  }
}

/** Where the database is, for messages: neither user nor password. */
export function placeOf(url: string): string {
  try {
    const { hostname, port, pathname, searchParams } = new URL(url)
    const host = searchParams.get('host') ?? (hostname || 'localhost')
    return `postgres://${host}:${searchParams.get('port') ?? (port || 5432)}${pathname}`
  } catch {
    return 'postgres'
  }
}
