/**
 * A test that is not run says why: `context.skip('reason')` in its body, or a comment `// skipped: reason` on the line of,
 * or right above, a `test.skip`, `describe.skip`, `test.skipIf`, `test.runIf`, `test.todo` or the option `skip: true`.
 */
import ts from 'typescript'
import { descendants, type Finding, finding, lineOf, parse, type Sources } from './source.js'

const RUNNERS = new Set(['test', 'it', 'describe', 'suite'])
const SKIPS = new Set(['skip', 'skipIf', 'runIf', 'todo'])
const NEEDS_COMMENT = 'needs a comment `// skipped: reason`'
const REASON = /\/\/ skipped: \S/

/** `test` for `test.concurrent.skip`. */
function headOf(expression: ts.Expression): string | undefined {
  if (ts.isIdentifier(expression)) return expression.text
  return ts.isPropertyAccessExpression(expression) ? headOf(expression.expression) : undefined
}

function hasComment(node: ts.Node, lines: readonly string[]): boolean {
  const line = lineOf(node)
  return [lines[line - 1], lines[line - 2]].some((text) => text !== undefined && REASON.test(text))
}

/** A reason given once for several tests. */
const CONSTANT = /^[A-Z][A-Z_]+$/

/** The note of `context.skip(note)` or `context.skip(condition, note)`. */
function hasNote(access: ts.PropertyAccessExpression): boolean {
  const call = access.parent
  const note = ts.isCallExpression(call) && call.expression === access ? call.arguments.at(-1) : undefined
  if (note === undefined) return false
  if (ts.isStringLiteralLike(note)) return note.text.trim() !== ''
  return ts.isTemplateExpression(note) || (ts.isIdentifier(note) && CONSTANT.test(note.text))
}

/** `test(name, { skip: true }, run)`. */
function isSkipOption(node: ts.Node): boolean {
  if (!ts.isPropertyAssignment(node) || !ts.isIdentifier(node.name) || !SKIPS.has(node.name.text)) return false
  const call = node.parent.parent
  return ts.isCallExpression(call) && RUNNERS.has(headOf(call.expression) ?? '')
}

/** `({ skip }) => skip()` would go unseen. */
function isTakenFromContext(node: ts.Node): boolean {
  if (!ts.isBindingElement(node) || !ts.isParameter(node.parent.parent)) return false
  return (node.propertyName ?? node.name).getText() === 'skip'
}

function judge(node: ts.Node, lines: readonly string[]): Finding | undefined {
  if (isTakenFromContext(node)) return finding(node, 'skip-reason', 'take the context whole: context.skip(note)')
  if (isSkipOption(node) && !hasComment(node, lines)) return finding(node, 'skip-reason', NEEDS_COMMENT)
  if (!ts.isPropertyAccessExpression(node) || !SKIPS.has(node.name.text)) return undefined
  const head = headOf(node.expression)
  if (head !== undefined && RUNNERS.has(head)) {
    return hasComment(node, lines) ? undefined : finding(node, 'skip-reason', NEEDS_COMMENT)
  }
  const isContextSkip = node.name.text === 'skip' && (head === 'context' || head === 'ctx')
  if (!isContextSkip || hasNote(node)) return undefined
  return finding(node, 'skip-reason', 'needs a note: skip(note)')
}

export function checkSkips(sources: Sources): Finding[] {
  return [...sources].flatMap(([file, text]) => {
    const lines = text.split('\n')
    return [...descendants(parse(file, text))].flatMap((node) => judge(node, lines) ?? [])
  })
}
