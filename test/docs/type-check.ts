import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import type { Snippet } from '../support/markdown.js'
import type { Reader } from './reader.js'

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types?: string }>>
}

/** Each entry of the package, by the source that its types are built from. */
function entryPaths(root: string): Record<string, string[]> {
  const { exports }: Manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const paths: Record<string, string[]> = {}
  for (const [entry, target] of Object.entries(exports)) {
    if (typeof target === 'string' || target.types === undefined) continue
    const source = target.types.replace('./dist/', '').replace(/\.d\.ts$/, '.ts')
    paths[entry.replace('.', 'jobledger')] = [join(root, source)]
  }
  return paths
}

/** As strict as a reader may be, but for JavaScript, which says nothing of its types. `jobledger` is the source itself. */
function optionsFor(root: string, language: string): ts.CompilerOptions {
  const isScript = language === 'js'
  return {
    strict: !isScript,
    exactOptionalPropertyTypes: !isScript,
    allowJs: isScript,
    checkJs: isScript,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.es2024.string.d.ts', 'lib.esnext.disposable.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    // A block without imports is a program of its own, too: it shares no names with the others.
    moduleDetection: ts.ModuleDetectionKind.Force,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
    paths: entryPaths(root),
  }
}

/** The place in the document for a fault in a block; a fault elsewhere (the library itself) keeps its own. */
function describeDiagnostic(diagnostic: ts.Diagnostic, snippets: ReadonlyMap<string, Snippet>): string {
  const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n')
  if (diagnostic.file === undefined) return message
  const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start ?? 0)
  const snippet = snippets.get(diagnostic.file.fileName)
  return snippet === undefined
    ? `${diagnostic.file.fileName}:${line + 1} ${message}`
    : `${snippet.file}:${snippet.line + line} ${message}`
}

function typeFaultsIn(root: string, language: string, snippets: readonly Snippet[], reader: Reader): string[] {
  if (snippets.length === 0) return []
  const byPath = new Map(snippets.map((snippet) => [reader.write(snippet), snippet]))
  const program = ts.createProgram([...byPath.keys()], optionsFor(root, language))
  return ts.getPreEmitDiagnostics(program).map((diagnostic) => describeDiagnostic(diagnostic, byPath))
}

/** All ts and js blocks at once: one reading of the library serves them all. */
export function typeFaults(root: string, snippets: readonly Snippet[], reader: Reader): string[] {
  return ['ts', 'js'].flatMap((language) => {
    const written = snippets.filter((snippet) => snippet.language === language)
    return typeFaultsIn(root, language, written, reader)
  })
}
