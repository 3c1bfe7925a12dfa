/**
 * A PostgreSQL for tests: the one at JOBLEDGER_TEST_POSTGRES_URL, else one of our own for this process, made with the
 * programs found on this machine. It is started when first asked for and ends with the process.
 */
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'

interface TestServer {
  /** Of a database of the server in which others can be made. */
  readonly url: string
}

const DEBIAN = '/usr/lib/postgresql'

/** What tests lose with the server is made anew. */
const SETTINGS = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=200', 'autovacuum=on']

/** Where `initdb` and `postgres` are, the newest of several; undefined where they are not. */
function programs(): string | undefined {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...versions.map((each) => join(DEBIAN, each, 'bin'))]
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))))
}

/** Why there is no server, or undefined. */
export function missingPostgres(): string | undefined {
  if (process.env.JOBLEDGER_TEST_POSTGRES_URL !== undefined || programs() !== undefined) return undefined
  return 'needs PostgreSQL: set JOBLEDGER_TEST_POSTGRES_URL, or have initdb and postgres on the PATH'
}

let server: Promise<TestServer> | undefined

function postgresServer(): Promise<TestServer> {
  const url = process.env.JOBLEDGER_TEST_POSTGRES_URL
  server ??= url === undefined ? startServer() : Promise.resolve({ url })
  return server
}

interface Account {
  readonly uid: number
  readonly gid: number
}

/** Whom the server runs as: it refuses to run as root. */
function account(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  const idOf = (flag: string, user: string): number =>
    Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
  for (const user of ['postgres', 'nobody']) {
    try {
      return { uid: idOf('-u', user), gid: idOf('-g', user) }
    } catch {
      // There is no such user.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user postgres nor nobody.')
}

/**
 * The server's parent. Its input ends when this process does, however that comes about: the runner of the tests kills its
 * workers. SIGQUIT: at once, without waiting for clients.
 */
const GUARD = `
  const { spawn } = require('node:child_process')
  const { rmSync } = require('node:fs')
  const { program, args, who, folder } = JSON.parse(process.argv[1])
  const server = spawn(program, args, { ...who, stdio: 'ignore' })
  server.on('exit', () => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    process.exit()
  })
  process.stdin.on('end', () => server.kill('SIGQUIT')).resume()
`

async function startServer(): Promise<TestServer> {
  const bin = programs()
  if (bin === undefined) throw new Error(missingPostgres())
  const who = account()
  const folder = mkdtempSync(join(tmpdir(), 'jobledger-pg-'))
  if (who !== undefined) chownSync(folder, who.uid, who.gid)
  const data = join(folder, 'data')
  const initdb = ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-locale', '--no-sync']
  execFileSync(join(bin, 'initdb'), initdb, { ...who, stdio: 'ignore' })
  // On a socket only, in a folder of its own: no port to quarrel about.
  const settings = SETTINGS.flatMap((setting) => ['-c', setting])
  const args = ['-D', data, '-k', folder, '-c', 'listen_addresses=', ...settings]
  const guarded = JSON.stringify({ program: join(bin, 'postgres'), args, who, folder })
  const guard = spawn(process.execPath, ['--eval', GUARD, guarded], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  guard.unref()
  if (guard.stdin instanceof Socket) guard.stdin.unref()
  const url = `postgres://postgres@localhost/postgres?host=${encodeURIComponent(folder)}`
  await answering(url)
  return { url }
}

async function answering(url: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      if (tries >= 200) throw error
      await pause(50)
    }
  }
}

export interface TestSchema {
  readonly name: string
  /** Of a log in this schema. */
  readonly url: string
  drop(): Promise<void>
}

/** A schema that nobody else uses; the log makes it. Much faster than a database of its own. */
export async function freshSchema(): Promise<TestSchema> {
  const { url } = await postgresServer()
  const name = `jobledger_test_${randomBytes(6).toString('hex')}`
  const own = new URL(url)
  own.searchParams.set('schema', name)
  return { name, url: own.href, drop: () => onServer(url, `DROP SCHEMA IF EXISTS ${name} CASCADE`) }
}

async function onServer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
