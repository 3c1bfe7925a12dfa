/** A folder with jobledger installed (the built one, by a link), and the command line run in it as real processes. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineJob, type EnqueueOptions, type JobStatus, type Ledger, openLedger } from '../../index.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const main = join(root, 'dist', 'adapters', 'cli', 'main.js')
const host = fileURLToPath(new URL('command-host.mjs', import.meta.url))

/** No judgement of speed: a process that hangs must not hang the tests. */
const GUARD_MS = 60_000
export const PATIENCE: number = 3 * GUARD_MS

export interface Ran {
  /** null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly stdin?: string
  readonly env?: NodeJS.ProcessEnv
}

export class Desk {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'jobledger-cli-'))
  readonly #started: Started[] = []
  #host: CommandHost | undefined

  constructor() {
    if (!existsSync(main)) throw new Error('run `npm run build` first; `npm test` does')
    mkdirSync(join(this.folder, 'node_modules'))
    symlinkSync(root, join(this.folder, 'node_modules', 'jobledger'), 'junction')
    symlinkSync(join(root, 'node_modules', 'zod'), join(this.folder, 'node_modules', 'zod'), 'junction')
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  write(name: string, content: string): void {
    writeFileSync(this.path(name), content)
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name))
  }

  has(name: string): boolean {
    return existsSync(this.path(name))
  }

  /** Begins a process; `run` also waits for its end. */
  start(args: readonly string[], { stdin = '', env = {} }: RunOptions = {}): Started {
    const child = spawn(process.execPath, [main, ...args], { cwd: this.folder, env: { ...environment(), ...env } })
    child.stdin.on('error', () => {})
    child.stdin.end(stdin)
    const started = new Started(child)
    this.#started.push(started)
    return started
  }

  /** In a process that has been started for the command before it, where that makes no difference. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const needsOwn = args[0] === 'work' || args.includes('--config') || options.stdin !== undefined
    if (needsOwn || this.#host?.isBusy) return this.start(args, options).ended
    this.#host ??= new CommandHost(this.folder)
    return this.#host.run(args, options.env)
  }

  /** The document that a verb prints with --json. */
  async json<Document>(...args: string[]): Promise<Document> {
    const { code, stdout, stderr } = await this.run([...args, '--json'])
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
    return JSON.parse(stdout) as Document
  }

  /** The ledger in this folder, without a process of its own: what is not the command line's is done here. No trigger fires. */
  async with<Result>(work: (ledger: Ledger) => Promise<Result>): Promise<Result> {
    const ledger = await openLedger({ url: `sqlite:${this.path('jobledger.db')}`, scheduler: false })
    try {
      return await work(ledger)
    } finally {
      await ledger.close()
    }
  }

  async enqueue(type: string, payload: unknown, options: EnqueueOptions): Promise<void> {
    await this.with((ledger) => ledger.enqueue(defineJob({ type, handle() {} }), payload, options))
  }

  status(id: string): Promise<JobStatus> {
    return this.with((ledger) => ledger.status(id))
  }

  async eventsOf(id: string): Promise<string[]> {
    const events = await this.with((ledger) => ledger.history(id))
    return events.map((event) => event.type)
  }

  async remove(): Promise<void> {
    await Promise.all([...this.#started.map((started) => started.kill()), this.#host?.end()])
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export class Started {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<Ran>
  #stdout = ''
  #stderr = ''

  constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    const guard = setTimeout(() => child.kill('SIGKILL'), GUARD_MS)
    this.ended = once(child, 'close').then(([code]) => {
      clearTimeout(guard)
      return { code: code as number | null, stdout: this.#stdout, stderr: this.#stderr }
    })
  }

  /** Resolves when stderr has said it; rejects when the process ends without. */
  async said(text: string, times = 1): Promise<void> {
    while (this.#stderr.split(text).length <= times) {
      const more = once(this.child.stderr, 'data').then(() => true)
      const over = this.ended.then(() => false)
      if (!(await Promise.race([more, over])) && this.#stderr.split(text).length <= times) {
        throw new Error(`ended without saying ${text}:\n${this.#stderr}`)
      }
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL')
    await this.ended
  }
}

/** One process for many commands: see `command-host.mjs`. */
class CommandHost {
  readonly #child: ChildProcess
  readonly #gone: Promise<unknown>
  readonly #ready: Promise<unknown>
  isBusy = false

  constructor(cwd: string) {
    this.#child = fork(host, { cwd, env: environment(), execArgv: [] })
    this.#gone = once(this.#child, 'exit')
    this.#ready = this.#answer()
  }

  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    this.isBusy = true
    try {
      await this.#ready
      const answer = this.#answer()
      this.#child.send({ args, env })
      return (await answer) as Ran
    } finally {
      this.isBusy = false
    }
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#gone
  }

  async #answer(): Promise<unknown> {
    const guard = setTimeout(() => this.#child.kill('SIGKILL'), GUARD_MS)
    const over = new AbortController()
    const gone = this.#gone.then(() => {
      throw new Error('the process that runs commands has ended')
    })
    try {
      const [message] = (await Promise.race([once(this.#child, 'message', over), gone])) as [unknown]
      return message
    } finally {
      clearTimeout(guard)
      over.abort()
    }
  }
}

/** What the tests run under must not colour them. */
function environment(): NodeJS.ProcessEnv {
  const { FORCE_COLOR, NO_COLOR, JOBLEDGER_URL, JOBLEDGER_DEBUG, ...rest } = process.env
  return rest
}

/** Job types for workers: `add` succeeds, `fail` fails for good, `wait` runs until it is aborted, and says that it began. */
export const CONFIG_JS = `
import { defineJob } from 'jobledger'

export default {
  jobs: [
    defineJob({ type: 'add', handle: ({ a, b }) => a + b }),
    defineJob({ type: 'fail', maxAttempts: 1, handle() { throw new RangeError('out of luck') } }),
    defineJob({ type: 'pause', handle: (payload, ctx) => new Promise((resolve) => {
      ctx.signal.addEventListener('abort', () => resolve(undefined))
      ctx.log.info({}, 'pause begins')
    }) }),
    defineJob({ type: 'linger', handle: (payload, ctx) => new Promise((resolve) => {
      process.once('SIGTERM', () => setImmediate(resolve, 'in the end'))
      ctx.log.info({}, 'linger begins')
    }) }),
    defineJob({ type: 'deaf', handle: (payload, ctx) => new Promise(() => ctx.log.info({}, 'deaf begins')) }),
  ],
}
`

export const CONFIG_TS = `
import { defineJob, type CloseOptions, type LedgerOptions, type StartOptions } from 'jobledger'
import { z } from 'zod'

enum Queue { Sums = 'sums' }

const add = defineJob({
  type: 'add',
  queue: Queue.Sums,
  maxAttempts: 3,
  schema: z.object({ a: z.number(), b: z.number() }),
  handle: ({ a, b }): number => a + b,
})

export default { jobs: [add], concurrency: 2, queues: [Queue.Sums] } satisfies Omit<LedgerOptions, 'queues'> & StartOptions & CloseOptions
`
