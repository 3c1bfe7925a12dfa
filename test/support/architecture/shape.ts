/** What no file of the library contains. */
import ts from 'typescript'
import { descendants, type Finding, finding, parse, type Sources } from './source.js'

const MAX_LINES = 400

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true
  if (ts.isExportSpecifier(node)) return node.name.text === 'default'
  return (
    ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)
  )
}

function isExportStar(node: ts.Node): boolean {
  return ts.isExportDeclaration(node) && (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause))
}

function judge(node: ts.Node): Finding | undefined {
  if (node.kind === ts.SyntaxKind.AnyKeyword) return finding(node, 'no-any', 'say what it is, or `unknown`')
  if (isExportStar(node)) return finding(node, 'no-export-star', 'name what is exported')
  if (isDefaultExport(node)) return finding(node, 'no-default-export', 'exports have names')
  return undefined
}

function checkLength(file: string, text: string): Finding[] {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  if (lines <= MAX_LINES) return []
  return [{ file, line: lines, rule: 'file-length', detail: `${lines} lines, at most ${MAX_LINES}` }]
}

export function checkShape(sources: Sources): Finding[] {
  return [...sources].flatMap(([file, text]) => [
    ...checkLength(file, text),
    ...[...descendants(parse(file, text))].flatMap((node) => judge(node) ?? []),
  ])
}
