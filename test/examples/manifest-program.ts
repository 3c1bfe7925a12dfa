/** The built example as its user meets it: a program with arguments, output and an exit code. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const program = fileURLToPath(new URL('../../dist/examples/manifest/main.js', import.meta.url))
/** No judgement of speed: keeps a program that hangs from hanging the tests. */
const GUARD_MS = 60_000

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProgramOptions {
  /** Where the manifest and the ledger go by default. */
  readonly cwd: string
  /** Called with all of stderr so far whenever there is more of it. */
  readonly onTalk?: (talk: string, kill: (signal: NodeJS.Signals) => void) => void
  /** Run under another command, which gets the program and its arguments. */
  readonly under?: readonly string[]
}

export async function runProgram(args: readonly string[], options: ProgramOptions): Promise<Ended> {
  const [command = process.execPath, ...rest] = [...(options.under ?? []), process.execPath, program, ...args]
  const child = spawn(command, rest, { cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: GUARD_MS })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    options.onTalk?.(stderr, (signal) => child.kill(signal))
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

/** A folder of its own for each test. */
export function temporaryFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'jobledger-manifest-')))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Writes files with the folders they are in. */
export function put(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
}

/** Where the manifest and the ledger are, and the tree beside them. */
export function newTree(files: Readonly<Record<string, string>>): { cwd: string; tree: string; manifest: string } {
  const cwd = temporaryFolder()
  const tree = join(cwd, 'tree')
  mkdirSync(tree)
  put(tree, files)
  return { cwd, tree, manifest: join(cwd, 'manifest.sha256') }
}
