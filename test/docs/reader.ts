/**
 * A folder such as a reader of the docs has: jobledger installed (the built one, by a link), beside it every package that
 * this repository uses itself. The blocks of one document share a folder, as they would at the reader's desk: a shell
 * block may look into the ledger that the program above it has written.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import ts from 'typescript'
import { runGuarded } from '../support/guarded-process.js'
import type { Snippet } from '../support/markdown.js'

const GUARD_MS = 60_000

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

export class Reader {
  readonly folder: string
  private readonly root: string

  constructor(root: string) {
    this.root = root
    this.folder = mkdtempSync(join(tmpdir(), 'jobledger-docs-'))
    writeFileSync(join(this.folder, 'package.json'), '{ "private": true, "type": "module" }\n')
    const manifest: Manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    this.install(manifest)
    this.installCommands(manifest)
  }

  private install(manifest: Manifest): void {
    this.link('jobledger', this.root)
    const fields = ['dependencies', 'optionalDependencies', 'peerDependencies', 'devDependencies']
    // A peer is installed for development, too.
    for (const name of new Set(fields.flatMap((field) => Object.keys(manifest[field] ?? {})))) {
      const installed = join(this.root, 'node_modules', name)
      // An optional one may be missing on this platform.
      if (existsSync(installed)) this.link(name, installed)
    }
  }

  private link(name: string, target: string): void {
    const path = join(this.folder, 'node_modules', name)
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(target, path, 'junction')
  }

  /** What npm would do; the built file is not executable in itself. */
  private installCommands({ bin }: Manifest): void {
    const folder = join(this.folder, 'node_modules', '.bin')
    mkdirSync(folder, { recursive: true })
    for (const [name, script] of Object.entries(bin)) {
      writeFileSync(join(folder, name), `#!/bin/sh\nexec node "${join(this.root, script)}" "$@"\n`, { mode: 0o755 })
    }
  }

  /** Where the code of a block stands: a folder for its document, a file for its line. */
  pathOf({ file, line, language }: Snippet): string {
    return join(this.folder, file.replace(/[^\w.-]/g, '_'), `line-${line}.${language}`)
  }

  write(snippet: Snippet): string {
    const path = this.pathOf(snippet)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, snippet.code)
    return path
  }

  /** Each block in a process of its own. Gives back what went wrong, if anything. `given`: more of its environment. */
  async run(snippet: Snippet, given: NodeJS.ProcessEnv = {}): Promise<string | undefined> {
    const path = this.write(snippet)
    const [command, ...args] =
      snippet.language === 'sh'
        ? ['bash', '-euo', 'pipefail', path]
        : ['node', '--enable-source-maps', emitted(path, snippet)]
    const binaries = join(this.folder, 'node_modules', '.bin')
    const env = { ...process.env, ...given, NO_COLOR: '1', PATH: `${binaries}${delimiter}${process.env.PATH ?? ''}` }
    const { code, output } = await runGuarded(command, args, { cwd: dirname(path), guardMs: GUARD_MS, env })
    return code === 0 ? undefined : `${snippet.file}:${snippet.line} ended with ${code ?? 'a signal'}:\n${output}`
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Node 20 does not run TypeScript, and does not know `await using`. */
function emitted(path: string, { code, line }: Snippet): string {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, inlineSourceMap: true }
  const { outputText } = ts.transpileModule(code, { compilerOptions, fileName: path })
  const file = join(dirname(path), `run-${line}.js`)
  writeFileSync(file, outputText)
  return file
}
