/** The URL of a ledger in EventStoreDB: what is the client's in it, and what is ours. */
import { existsSync, readFileSync } from 'node:fs'
import { InvalidOption } from '../../domain/errors.js'
import { withoutPassword } from '../shared/urls.js'

interface Endpoint {
  readonly address: string
  readonly port: number
}

/** Where and how to connect. */
export interface Target {
  readonly endpoints: readonly Endpoint[]
  /** The one endpoint is a DNS name behind which the nodes of a cluster are found. */
  readonly discover: boolean
  readonly tls: boolean
  readonly certificates: {
    readonly rootCertificate?: Buffer
    readonly userCertFile?: Buffer
    readonly userKeyFile?: Buffer
  }
  readonly credentials: { readonly username: string; readonly password: string } | undefined
  /** Of every stream of the ledger: '' or ends with a full stop. */
  readonly prefix: string
  readonly options: ClientOptions
  /** For messages: neither user nor password. */
  readonly place: string
}

interface ClientOptions {
  readonly connectionName: string
  readonly keepAliveInterval: number
  readonly keepAliveTimeout: number
  readonly gossipTimeout: number
  readonly maxDiscoverAttempts: number
  readonly discoveryInterval: number
}

/**
 * A silent server is noticed after interval plus timeout. A cluster that does not answer must be told of within ten seconds:
 * with the client's own defaults (10 attempts of 5 s each) that would take most of a minute.
 */
const DEFAULTS: ClientOptions = {
  connectionName: 'jobledger',
  keepAliveInterval: 10_000,
  keepAliveTimeout: 5_000,
  gossipTimeout: 2,
  maxDiscoverAttempts: 3,
  discoveryInterval: 100,
}

const SHORTEST_KEEP_ALIVE = 10_000
const DEFAULT_PORT = 2113
const URL_FORM = 'a URL like esdb://user:password@host:2113?tls=true&prefix=orders'

/** Every key that may stand in the query, as the vendor spells it; case, `-` and `_` do not matter. */
const KEYS = [
  'tls',
  'tlsCAFile',
  'tlsVerifyCert',
  'userCertFile',
  'userKeyFile',
  'connectionName',
  'defaultDeadline',
  'keepAliveInterval',
  'keepAliveTimeout',
  'throwOnAppendFailure',
  'nodePreference',
  'maxDiscoverAttempts',
  'discoveryInterval',
  'gossipTimeout',
  'prefix',
  'views',
] as const

type Key = (typeof KEYS)[number]
type Query = ReadonlyMap<Key, string>

const flat = (key: string): string => key.toLowerCase().replace(/[_-]/g, '')

/** Throws InvalidOption that names what is wrong, never with a password in it. */
export function parseUrl(url: string): Target {
  const [, scheme, account, hosts = '', query = ''] =
    /^(esdb|esdb\+discover):\/\/(?:([^@/?]*)@)?([^/?@]+)\/?(?:\?(.*))?$/s.exec(url) ?? []
  if (scheme === undefined) throw new InvalidOption('openLedger.url', URL_FORM, withoutPassword(url))
  const settings = parseQuery(query)
  const endpoints = hosts.split(',').map(parseHost)
  const discover = scheme === 'esdb+discover'
  if (discover && endpoints.length > 1) throw wrong('', 'one DNS name after esdb+discover://', hosts)
  const tls = flag(settings, 'tls', true)
  if (!flag(settings, 'tlsVerifyCert', true)) {
    throw wrong('tlsVerifyCert', 'left out: the client always verifies. Name the CA with tlsCAFile', 'false')
  }
  return {
    endpoints,
    discover,
    tls,
    certificates: tls ? certificatesIn(settings) : {},
    credentials: account === undefined ? undefined : parseAccount(account),
    prefix: prefixIn(settings),
    options: optionsIn(settings),
    place: `${scheme}://${hosts}`,
  }
}

/** The file of the views that go with the log at this URL: logs of several servers do not share one by accident. */
export function viewsOf(url: string, logId: string): string {
  const settings = parseQuery(/\?(.*)$/s.exec(url)?.[1] ?? '')
  return settings.get('views') ?? `./${settings.get('prefix') ?? 'jobledger'}-esdb-views-${logId.slice(0, 8)}.db`
}

function wrong(key: string, expected: string, received: unknown): InvalidOption {
  return new InvalidOption(key === '' ? 'openLedger.url' : `openLedger.url ?${key}`, expected, received)
}

function parseQuery(query: string): Query {
  const found = new Map<Key, string>()
  for (const [name, value] of new URLSearchParams(query.replaceAll('+', '%2B'))) {
    const key = KEYS.find((each) => flat(each) === flat(name))
    if (key === undefined) throw wrong('', `without the unknown key \`${name}\` (there are ${KEYS.join(', ')})`, name)
    found.set(key, value.trim())
  }
  return found
}

function parseHost(host: string): Endpoint {
  const [, address = '', digits] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(host) ?? []
  const port = Number(digits ?? DEFAULT_PORT)
  if (address === '' || port < 1 || port > 65_535)
    throw wrong('', 'hosts like name:2113, with a comma between them', host)
  return { address, port }
}

function parseAccount(account: string): Target['credentials'] {
  const [username = '', password, ...rest] = account.split(':')
  // Without the value: there is a password in it.
  if (username === '' || password === undefined || rest.length > 0) {
    throw wrong('', 'user:password@ with both percent-encoded', '...@')
  }
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) }
  } catch {
    throw wrong('', 'user:password@ with both percent-encoded', '...@')
  }
}

function flag(settings: Query, key: Key, fallback: boolean): boolean {
  const value = settings.get(key)
  if (value === undefined) return fallback
  if (value !== 'true' && value !== 'false') throw wrong(key, 'true or false', value)
  return value === 'true'
}

function whole(settings: Query, key: Key, fallback: number, least: number): number {
  const value = settings.get(key)
  if (value === undefined) return fallback
  const number = Number(value)
  const off = key.startsWith('keepAlive') && number === -1
  if (value === '' || !Number.isSafeInteger(number) || (number < least && !off)) {
    throw wrong(key, `a whole number from ${least}`, value)
  }
  return number
}

function optionsIn(settings: Query): ClientOptions {
  return {
    connectionName: settings.get('connectionName') ?? DEFAULTS.connectionName,
    keepAliveInterval: whole(settings, 'keepAliveInterval', DEFAULTS.keepAliveInterval, SHORTEST_KEEP_ALIVE),
    keepAliveTimeout: whole(settings, 'keepAliveTimeout', DEFAULTS.keepAliveTimeout, 1),
    gossipTimeout: whole(settings, 'gossipTimeout', DEFAULTS.gossipTimeout, 1),
    maxDiscoverAttempts: whole(settings, 'maxDiscoverAttempts', DEFAULTS.maxDiscoverAttempts, 1),
    discoveryInterval: whole(settings, 'discoveryInterval', DEFAULTS.discoveryInterval, 1),
  }
}

/**
 * A full stop ends it, and there is none in it: so no prefix begins with another one, and two ledgers on one server never see
 * each other's streams. Nor is there a `-`, at which the server's own categories end.
 */
function prefixIn(settings: Query): string {
  const prefix = settings.get('prefix')
  if (prefix === undefined) return ''
  if (!/^\w{1,64}$/.test(prefix)) throw wrong('prefix', '1 to 64 letters, digits and _', prefix)
  return `${prefix}.`
}

function certificatesIn(settings: Query): Target['certificates'] {
  const [userCertFile, userKeyFile] = [fileIn(settings, 'userCertFile'), fileIn(settings, 'userKeyFile')]
  if ((userCertFile === undefined) !== (userKeyFile === undefined)) {
    throw wrong('userCertFile', 'given together with userKeyFile', settings.get('userCertFile'))
  }
  const rootCertificate = fileIn(settings, 'tlsCAFile')
  return {
    ...(rootCertificate && { rootCertificate }),
    ...(userCertFile && userKeyFile && { userCertFile, userKeyFile }),
  }
}

function fileIn(settings: Query, key: Key): Buffer | undefined {
  const path = settings.get(key)
  if (path === undefined) return undefined
  if (!existsSync(path)) throw wrong(key, 'the path of a file that is there', path)
  return readFileSync(path)
}
