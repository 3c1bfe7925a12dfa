/** The fake as a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Faults } from './faults.js'

type Verb = 'kill' | 'restart' | 'cut' | 'hold' | 'let-go'

export interface FakeProcess extends AsyncDisposable {
  readonly url: string
  /** Resolves when it is done. */
  say(what: Verb | Partial<Faults>): Promise<void>
}

const JITI = fileURLToPath(import.meta.resolve('jiti')).replace(/jiti\.m?js$/, 'jiti-cli.mjs')
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))

/** It ends with this process, if not before. */
export async function startFakeProcess(): Promise<FakeProcess> {
  const child = spawn(process.execPath, [JITI, MAIN], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const { value: url } = await lines.next()
  return {
    url: String(url),
    async say(what) {
      child.stdin.write(`${typeof what === 'string' ? what : JSON.stringify(what)}\n`)
      await lines.next()
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await once(child, 'exit')
    },
  }
}
