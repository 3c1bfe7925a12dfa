/** A project that installs jobledger from the tarball we would publish. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { runGuarded, runOrThrow } from '../support/guarded-process.js'

const GUARD_MS = 240_000
const LINKED = ['better-sqlite3', '@types/node']

export class Consumer {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'jobledger-package-'))
  private readonly root: string

  constructor(root: string) {
    this.root = root
  }

  get tarball(): string {
    const packed = readdirSync(this.folder).find((name) => name.endsWith('.tgz'))
    if (packed === undefined) throw new Error('npm pack has left no tarball')
    return join(this.folder, packed)
  }

  /** Builds anew first (`prepack`), as publishing does. */
  async pack(): Promise<void> {
    await runOrThrow('npm', ['pack', '--pack-destination', this.folder], { cwd: this.root, guardMs: GUARD_MS })
  }

  /** Without the optional driver, which would be compiled for minutes: ours, already built, is linked in its place. */
  async install(): Promise<void> {
    writeFileSync(join(this.folder, 'package.json'), '{ "private": true }\n')
    const options = ['--omit=optional', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
    await runOrThrow('npm', ['install', this.tarball, ...options], { cwd: this.folder, guardMs: GUARD_MS })
    for (const name of LINKED) this.link(name)
  }

  /** One more package, from the registry or its cache. */
  async add(name: string): Promise<void> {
    const options = ['--omit=optional', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
    await runOrThrow('npm', ['install', name, ...options], { cwd: this.folder, guardMs: GUARD_MS })
    for (const linked of LINKED) this.link(linked)
  }

  link(name: string): void {
    const [installed, path] = [join(this.root, 'node_modules', name), join(this.folder, 'node_modules', name)]
    if (!existsSync(installed)) return
    // A dependency of ours may have brought an older one, as it does not for who has it in a project of their own.
    rmSync(path, { recursive: true, force: true })
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(installed, path, 'junction')
  }

  has(name: string): boolean {
    return existsSync(join(this.folder, 'node_modules', name))
  }

  /** One of our development tools, on the tarball. */
  async inspect(tool: string, args: readonly string[]): Promise<void> {
    const command = join(this.root, 'node_modules', '.bin', tool)
    await runOrThrow(command, args, { cwd: this.folder, guardMs: GUARD_MS })
  }

  write(file: string, text: string): void {
    const path = join(this.folder, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }

  /** Runs a program that stands in the project; gives back what it printed. */
  async run(file: string, source: string): Promise<string> {
    this.write(file, source)
    return await runOrThrow('node', ['--no-warnings', file], { cwd: this.folder, guardMs: GUARD_MS })
  }

  /** Runs the command that the package installs. */
  async command(args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
    return await this.execute(this.binary('jobledger'), args)
  }

  /** In `folder` of the project. */
  async execute(
    program: string,
    args: readonly string[],
    folder = '.',
    env: NodeJS.ProcessEnv = {},
  ): Promise<{ readonly code: number | null; readonly output: string }> {
    // What runs these tests must not be taken for what runs those.
    const { NODE_TEST_CONTEXT: _, VITEST: __, ...ours } = process.env
    const cwd = join(this.folder, folder)
    return await runGuarded(program, args, { cwd, guardMs: GUARD_MS, env: { ...ours, NO_COLOR: '1', ...env } })
  }

  /** A program of one of the packages in the project. */
  binary(name: string): string {
    return join(this.folder, 'node_modules', '.bin', name)
  }

  /**
   * The type errors of a program in the project and of our declarations, which nobody checks who sets `skipLibCheck`.
   * Those of other packages are theirs.
   */
  compile(file: string, source: string, options: ts.CompilerOptions): string[] {
    const path = join(this.folder, file)
    writeFileSync(path, source)
    const given = { strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, types: ['node'], ...options }
    const program = ts.createProgram([path], given, hostIn(this.folder, given))
    return ts.getPreEmitDiagnostics(program).flatMap((diagnostic) => describe(diagnostic, path) ?? [])
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Looks for `@types` in the project instead of here. */
function hostIn(folder: string, options: ts.CompilerOptions): ts.CompilerHost {
  return { ...ts.createCompilerHost(options), getCurrentDirectory: () => folder }
}

function describe({ file, start, messageText }: ts.Diagnostic, ownPath: string): string | undefined {
  const message = ts.flattenDiagnosticMessageText(messageText, '\n')
  if (file === undefined) return message
  if (file.fileName !== ownPath && !file.fileName.includes('/node_modules/jobledger/')) return undefined
  const { line } = file.getLineAndCharacterOfPosition(start ?? 0)
  return `${file.fileName}:${line + 1} ${message}`
}
