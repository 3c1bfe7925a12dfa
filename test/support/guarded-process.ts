import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

interface Ended {
  /** null when it was killed. */
  readonly code: number | null
  /** What it wrote to stdout and stderr, in the order of arrival. */
  readonly output: string
  /** What it wrote to stdout alone: of two streams nobody knows which line came last. */
  readonly stdout: string
}

export interface GuardedOptions {
  readonly cwd: string
  readonly guardMs: number
  readonly env?: NodeJS.ProcessEnv
}

/** A child may have children of its own (a shell, npm), so the whole group goes. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself meanwhile.
  }
}

/** Runs a program to its end. The guard is no judgement of speed: it keeps a program that hangs from hanging the tests. */
export async function runGuarded(command: string, args: readonly string[], options: GuardedOptions): Promise<Ended> {
  const { cwd, guardMs, env = process.env } = options
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let stdout = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
      if (stream === child.stdout) stdout += text
    })
  }
  const guard = setTimeout(() => {
    output += `\n(killed by the guard after ${guardMs} ms)`
    killGroup(child)
  }, guardMs)
  try {
    const [code]: unknown[] = await once(child, 'close')
    return { code: typeof code === 'number' ? code : null, output, stdout }
  } finally {
    clearTimeout(guard)
  }
}

/** Runs a program that has to succeed; gives back what it wrote. */
export async function runOrThrow(command: string, args: readonly string[], options: GuardedOptions): Promise<string> {
  const { code, output } = await runGuarded(command, args, options)
  if (code !== 0) throw new Error(`${[command, ...args].join(' ')} ended with ${code ?? 'a signal'}:\n${output}`)
  return output
}
