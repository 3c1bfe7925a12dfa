/** Handler modules for real child processes, and a ledger that runs them. Real time. */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { filter, firstValueFrom, map } from 'rxjs'
import { openLedger } from '../../adapters/open-ledger.js'
import type { Ledger } from '../../runtime/ledger.js'
import type { LedgerOptions } from '../../runtime/options.js'
import type { JobDefinition } from '../../runtime/work/run/definition.js'
import type { LogLine } from './support.js'
import { listeningLogger } from './support.js'

const PACKAGE = fileURLToPath(new URL('../../dist/index.js', import.meta.url))

/** What a job can ask the handler to do: the name of a deed, with what it needs. */
export interface Task {
  readonly do: string
  readonly [given: string]: unknown
}

/** `deeds` of the module that handles tasks; each first beats with the number of its process as progress. */
const MODULE = `
  import { spawn } from 'node:child_process'
  import { writeFileSync } from 'node:fs'
  import * as jobledger from ${JSON.stringify(PACKAGE)}
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const never = () => new Promise(() => {})
  const aborted = (signal) => new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason)
    signal.addEventListener('abort', () => resolve(signal.reason))
  })
  const stuck = (n = 0) => { for (;;) n += 1 }
  let runs = 0
  const deeds = {
    echo: ({ value }) => value,
    facts: (_, ctx) => {
      const { id, type, name, queue, channel, run, attempt, workerId, user, trace, manual, correlationId } = ctx
      const current = jobledger.currentJob()?.id
      return { id, type, name, queue, channel, run, attempt, workerId, user, trace, manual, correlationId, current }
    },
    fired: async (task, { trigger, triggers, ledger }) => {
      const { id } = await ledger.enqueue({ type: 'task' }, { do: 'echo' })
      return { task, trigger, triggers, made: id }
    },
    count: () => ({ pid: process.pid, runs: ++runs }),
    lines(_, ctx) {
      const log = ctx.log.child({ part: 1 })
      log.warn({ n: 2, err: Object.assign(new TypeError('odd'), { code: 'ODD' }), call() {} }, 'a line')
      console.log('to stdout')
      console.error('to stderr')
    },
    warn(_, ctx) {
      console.error('to stderr')
      ctx.log.warn({}, 'beware')
      return never()
    },
    async progress(_, ctx) {
      await ctx.heartbeat(40, { so: 'far' })
      return (await ctx.heartbeat(Number.NaN).catch((error) => error)).code
    },
    dependencies: (_, ctx) => ctx.dependencies(),
    fail({ kind, given = [] }) {
      throw new jobledger[kind](...given)
    },
    throw({ name, message, fields }) {
      throw Object.assign(new Error(message, { cause: new Error('deeper') }), { name, ...fields })
    },
    throwText: () => { throw 'just text' },
    lastTry(_, ctx) {
      ctx.noRetry()
      throw new Error('in vain, retries: ' + ctx.retries)
    },
    snooze(_, ctx) {
      if (ctx.run === 1) return ctx.snooze('50ms')
      return { run: ctx.run, attempt: ctx.attempt }
    },
    badSnooze: (_, ctx) => ctx.snooze('soon'),
    async enqueue({ type, payload, options }, ctx) {
      const one = await ctx.ledger.enqueue(jobledger.defineJob({ type }), payload ?? (() => {}), options)
      const many = await ctx.ledger.enqueueMany([1, 2].map((n) => ({ job: { type }, payload: { do: 'echo', value: n } })))
      const said = ({ id, outcome }) => ({ id, outcome })
      return { one: said(one), many: many.map(said), wait: await one.result().catch((error) => error.code) }
    },
    batch: ({ batch }, ctx) => ctx.ledger.enqueueMany(batch),
    finishWith: (_, ctx) => ctx.finishWith(() => {}),
    value: (_, ctx) => ctx.value,
    async limited(_, ctx) {
      const code = await ctx.withTimeout('20ms', never).catch((error) => error.code)
      return [await ctx.withTimeout('1m', () => 'in time'), code, ctx.deadline.getTime()]
    },
    function: () => () => {},
    large: ({ bytes }) => 'x'.repeat(bytes),
    exit({ code }) {
      console.error('about to leave')
      process.exit(code)
    },
    kill: () => process.kill(process.pid, 'SIGKILL') && never(),
    uncaught: () => setTimeout(() => { throw new Error('thrown at nobody') }) && never(),
    unhandled: () => void Promise.reject(new Error('nobody cares')) ?? never(),
    heap(_, __, kept = []) { for (;;) kept.push(new Array(1000).fill(kept.length)) },
    buffers(_, __, kept = []) { for (;;) kept.push(Buffer.alloc(4_000_000, 1)) },
    flood: () => { for (let n = 0; n < 200; n += 1) process.stdout.write('x'.repeat(1_000_000)) },
    loop: () => stuck(),
    hang: never,
    async obey(_, ctx) {
      const reason = await aborted(ctx.signal)
      if (reason instanceof jobledger.ShuttingDown) return 'obeyed a shutdown'
      throw reason
    },
    async leftover(_, ctx) {
      setTimeout(() => ctx.heartbeat(1).catch((error) => ctx.log.info({}, 'late')), 5)
    },
    wait: ({ ms }) => pause(ms),
    async parent({ file }, ctx) {
      const grandchild = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
      writeFileSync(file, String(grandchild.pid))
      await ctx.heartbeat(process.pid)
      stuck()
    },
  }
  export default async function (task, ctx) {
    if (task instanceof Uint8Array) return { bytes: [...task], kind: task.constructor.name }
    if (task.beat) await ctx.heartbeat(process.pid)
    return deeds[task.do](task, ctx)
  }
`

export class Workshop implements AsyncDisposable {
  readonly folder: string
  readonly log: LogLine[] = []
  readonly #ledgers: Ledger[] = []

  private constructor(folder: string) {
    this.folder = folder
  }

  static async create(): Promise<Workshop> {
    const workshop = new Workshop(await mkdtemp(join(tmpdir(), 'jobledger-isolation-')))
    await workshop.write('deeds.mjs', MODULE)
    return workshop
  }

  /** A module of the workshop. */
  path(name: string): string {
    return join(this.folder, name)
  }

  async write(name: string, source: string): Promise<string> {
    await writeFile(this.path(name), source)
    return this.path(name)
  }

  get deeds(): string {
    return this.path('deeds.mjs')
  }

  async open(jobs: readonly JobDefinition[], options: LedgerOptions & { readonly url?: string } = {}): Promise<Ledger> {
    const ledger = await openLedger({ url: 'memory:', jobs, logger: listeningLogger(this.log), ...options })
    this.#ledgers.push(ledger)
    return ledger
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ledger of this.#ledgers) await ledger.close({ drain: 0, timeout: 0 })
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** The number of the process that a job's next run is in. Ask before it can begin. */
export function pidOf(ledger: Ledger, id: string): Promise<number> {
  const beats = ledger.events$.pipe(
    filter(({ stream, type }) => stream === `job-${id}` && type === 'Heartbeat'),
    map(({ data }) => (data as { progress?: number }).progress),
    filter((pid) => pid !== undefined),
  )
  return firstValueFrom(beats)
}

/** One that has died but is not buried yet counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z'
  } catch {
    return process.platform !== 'linux' && isKnown(pid)
  }
}

function isKnown(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** There is no signal to wait for: a process that is nobody's child dies unheard. */
export async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20))
}
