/** Another process with a ledger on the same file: the built package, told over IPC what to do. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGE = fileURLToPath(new URL('../../dist/index.js', import.meta.url))

/** `hang` never ends but leaves its process alive, `spin` holds up its whole process until the file `release` is there. */
const PROGRAM = `
  import { existsSync } from 'node:fs'
  const [, , index, url, release] = process.argv
  const { defineJob, openLedger } = await import(index)
  const say = (message) => process.send(message)
  const at = (level) => (facts, message) => say({ level, message, error: facts.err?.code })
  const logger = { trace() {}, debug() {}, info() {}, warn: at('warn'), error: at('error'), fatal() {}, child: () => logger }
  const jobs = [
    defineJob({ type: 'hang', handle: () => new Promise(() => {}) }),
    defineJob({ type: 'spin', handle: () => { while (!existsSync(release)); return 'by the one that was stuck' } }),
  ]
  const ledger = await openLedger({ url, jobs, logger })
  await ledger.start({ lease: '1s' })
  say({ message: 'ready' })
  process.once('message', async () => {
    await ledger.close({ drain: 0, timeout: 0 })
    process.disconnect()
  })
`

export interface Child {
  readonly pid: number
  /** What it says next with this text; also what it has said already. */
  said(message: string): Promise<{ readonly message: string; readonly error?: string }>
  kill(signal: NodeJS.Signals): Promise<void>
  /** Lets it close its ledger and end; its exit code. */
  end(): Promise<number | null>
}

/** Resolves once the child serves the jobs of the file. */
export async function startChild(folder: string, url: string, release: string): Promise<Child> {
  const program = join(folder, 'child.mjs')
  await writeFile(program, PROGRAM)
  const child: ChildProcess = fork(program, [PACKAGE, url, release], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const exited = once(child, 'exit') as Promise<[number | null]>
  const heard: { message: string }[] = []
  child.on('message', (message) => void heard.push(message as { message: string }))
  const said = async (wanted: string): Promise<{ message: string }> => {
    for (;;) {
      const found = heard.find(({ message }) => message === wanted)
      if (found !== undefined) return found
      const [outcome] = await Promise.race([once(child, 'message'), exited.then(() => ['exit'])])
      if (outcome === 'exit') throw new Error(`the child ended before it said: ${wanted}`)
    }
  }
  await said('ready')
  return {
    pid: child.pid as number,
    said,
    async kill(signal) {
      child.kill(signal)
      if (signal === 'SIGKILL') await exited
    },
    async end() {
      child.send('close')
      return (await exited)[0]
    },
  }
}
