/** Several processes with ledgers on one file: each is the built package, and does what it is asked over IPC. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGE = fileURLToPath(new URL('../../dist/index.js', import.meta.url))

/** `deeds` are what the process can be asked for, by name. */
const prelude = (deeds: string): string => `
  import { existsSync, writeFileSync } from 'node:fs'
  const [, , index, url, folder] = process.argv
  const { defineJob, openLedger } = await import(index)
  const say = (heard) => process.send({ heard })
  ${deeds}
  const ledger = await openLedger({ url, durability: 'normal', jobs: typeof jobs === 'undefined' ? [] : jobs })
  process.on('message', async ({ n, deed, given }) => {
    try {
      process.send({ n, answer: await deeds[deed](given) })
    } catch (error) {
      process.send({ n, error: (error.code ?? error.name) + ': ' + error.message })
    }
  })
  say('ready')
`

interface Reply {
  readonly n?: number
  readonly answer?: unknown
  readonly error?: string
  readonly heard?: unknown
}

export class Rival {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #replies = new Map<number, (reply: Reply) => void>()
  readonly #listeners = new Set<(heard: unknown) => void>()
  #asked = 0

  private constructor(program: string, url: string, folder: string) {
    // Views of a log on a server are made where the process is.
    this.#child = fork(program, [PACKAGE, url, folder], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#exited = once(this.#child, 'exit')
    this.#child.on('message', (message) => this.#hear(message as Reply))
  }

  static async start(program: string, url: string, folder: string): Promise<Rival> {
    const rival = new Rival(program, url, folder)
    await rival.#orGone(rival.heard('ready'))
    return rival
  }

  #hear(reply: Reply): void {
    if (reply.n === undefined) for (const listen of this.#listeners) listen(reply.heard)
    else this.#replies.get(reply.n)?.(reply)
  }

  /** Everything that it says from now on. */
  onHeard(listen: (heard: unknown) => void): void {
    this.#listeners.add(listen)
  }

  heard(wanted: unknown): Promise<void> {
    return new Promise((resolve) => this.onHeard((heard) => heard === wanted && resolve()))
  }

  /** What came of it; rejects with the error as it was told, or when the process is gone. */
  ask<Answer>(deed: string, given?: unknown): Promise<Answer> {
    this.#asked += 1
    const n = this.#asked
    const replied = new Promise<Answer>((resolve, reject) => {
      this.#replies.set(n, ({ answer, error }) =>
        error === undefined ? resolve(answer as Answer) : reject(new Error(error)),
      )
    })
    this.#child.send({ n, deed, given })
    return this.#orGone(replied)
  }

  async #orGone<Answer>(happening: Promise<Answer>): Promise<Answer> {
    const gone = this.#exited.then(() => {
      throw new Error('the process is gone')
    })
    gone.catch(() => {})
    return Promise.race([happening, gone])
  }

  get gone(): Promise<unknown> {
    return this.#exited
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}

/** A folder with a file that rivals fight over. */
export class Arena implements AsyncDisposable {
  readonly folder: string
  readonly url: string
  readonly #program: string
  readonly #rivals: Rival[] = []

  private constructor(folder: string, url: string) {
    this.folder = folder
    this.url = url
    this.#program = join(folder, 'rival.mjs')
  }

  /** `deeds`: source of a program that declares \`deeds\` and, if it runs any, \`jobs\`. `url`: default, a file in the folder. */
  static async create(deeds: string, url?: string): Promise<Arena> {
    const folder = await mkdtemp(join(tmpdir(), 'jobledger-rivals-'))
    const arena = new Arena(folder, url ?? `sqlite:${join(folder, 'jobs.db')}`)
    await writeFile(arena.#program, prelude(deeds))
    return arena
  }

  get path(): string {
    return join(this.folder, 'jobs.db')
  }

  async rival(): Promise<Rival> {
    const rival = await Rival.start(this.#program, this.url, this.folder)
    this.#rivals.push(rival)
    return rival
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const rival of this.#rivals) await rival.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}
