/** What every rule works on: files by path from the repository's root, so that a test can hand in bad ones of its own. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

export type Sources = ReadonlyMap<string, string>

export interface Finding {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly rule: string
  readonly detail: string
}

export function describeFinding({ file, line, rule, detail }: Finding): string {
  return `${file}:${line} [${rule}] ${detail}`
}

export function parse(file: string, text: string): ts.SourceFile {
  return ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
}

export function lineOf(node: ts.Node): number {
  const source = node.getSourceFile()
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
}

export function finding(node: ts.Node, rule: string, detail: string): Finding {
  return { file: node.getSourceFile().fileName, line: lineOf(node), rule, detail }
}

export function* descendants(node: ts.Node): Generator<ts.Node> {
  const children: ts.Node[] = []
  ts.forEachChild(node, (child) => void children.push(child))
  for (const child of children) {
    yield child
    yield* descendants(child)
  }
}

function typescriptFilesIn(root: string, folder: string): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return entries.filter((entry) => entry.endsWith('.ts')).map((entry) => `${folder}/${entry.replaceAll('\\', '/')}`)
}

/** The TypeScript of the folders and single files named; what does not exist has nothing wrong with it. */
export function readSources(root: string, folders: readonly string[], files: readonly string[] = []): Sources {
  const present = new Set(readdirSync(root))
  const paths = [
    ...files.filter((file) => present.has(file)),
    ...folders.filter((folder) => present.has(folder)).flatMap((folder) => typescriptFilesIn(root, folder)),
  ].sort()
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]))
}
