/**
 * domain/ and projections/ are pure: the same events give the same answer on every machine, on every day.
 * The check lists what they may use of the global scope, so whatever it does not know (fetch, process, a future global)
 * is refused. Names are resolved by the compiler, without any library: a name it cannot resolve is a global one.
 */
import ts from 'typescript'
import { type Finding, finding, type Sources } from './source.js'

const PURE_ROOMS = ['domain/', 'projections/']

const PURE_GLOBALS = new Set(
  `undefined NaN Infinity isNaN isFinite parseInt parseFloat encodeURIComponent decodeURIComponent structuredClone
   Object Array Map Set WeakMap WeakSet String Number Boolean BigInt Symbol RegExp JSON Math Date Intl
   Error TypeError RangeError SyntaxError AggregateError
   ArrayBuffer DataView Uint8Array Uint16Array Uint32Array Int32Array Float64Array BigInt64Array BigUint64Array
   TextEncoder TextDecoder`.split(/\s+/),
)

/** A type that only asynchronous code has. */
const ASYNC_TYPES = new Set([
  'Promise',
  'PromiseLike',
  'AsyncIterable',
  'AsyncIterator',
  'AsyncGenerator',
  'AbortSignal',
])

/** These read the time zone or the language of the machine. */
const LOCAL_METHOD =
  /^((get|set)(FullYear|Month|Date|Day|Hours|Minutes|Seconds|Milliseconds)|getTimezoneOffset|toLocale\w+)$/

type Judge = (node: ts.Node, isGlobal: (name: ts.Identifier) => boolean) => string | undefined

function judgeAsync(node: ts.Node): string | undefined {
  if (ts.isAwaitExpression(node)) return '`await`: pure code does not wait'
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return '`async`: pure code does not wait'
  if (ts.isForOfStatement(node) && node.awaitModifier !== undefined) return '`for await`: pure code does not wait'
  const isAsyncType =
    ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName) && ASYNC_TYPES.has(node.typeName.text)
  return isAsyncType ? `type \`${node.typeName.getText()}\`: pure code does not wait` : undefined
}

/** A `let` of a module is state that no event explains. */
function judgeModuleState(node: ts.Node): string | undefined {
  if (!ts.isVariableStatement(node) || !ts.isSourceFile(node.parent)) return undefined
  return node.declarationList.flags & ts.NodeFlags.Const ? undefined : 'a variable of the module is hidden state'
}

function judgeLocalMethods(node: ts.Node): string | undefined {
  if (!ts.isPropertyAccessExpression(node) || !LOCAL_METHOD.test(node.name.text)) return undefined
  return `\`${node.name.text}\` depends on the machine's time zone or language`
}

/** Allowed: `Math.x` other than random; `new Date(instant)`, `Date.UTC`; `Intl.x`. Anything freer could smuggle the rest in. */
function judgeMember(name: ts.Identifier): string | undefined {
  const { parent } = name
  const member = ts.isPropertyAccessExpression(parent) && parent.expression === name ? parent.name.text : undefined
  if (name.text === 'Math') {
    return member === undefined || member === 'random'
      ? '`Math` only as `Math.member`, and not `Math.random`'
      : undefined
  }
  if (name.text !== 'Date' || member === 'UTC') return undefined
  const isInstance = ts.isNewExpression(parent) && parent.expression === name && parent.arguments?.length === 1
  const isTest = ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword
  return isInstance || isTest ? undefined : '`Date` only as `new Date(instant)` or `Date.UTC`: the clock is injected'
}

const judgeGlobals: Judge = (node, isGlobal) => {
  if (!ts.isIdentifier(node) || !isValueName(node) || !isGlobal(node)) return undefined
  if (!PURE_GLOBALS.has(node.text)) return `global \`${node.text}\` is not one of the pure ones`
  return judgeMember(node)
}

/** Is this identifier the name of a value that is looked up in scope? Not so: `x.name`, `{ name: x }`, a name in a type. */
function isValueName(name: ts.Identifier): boolean {
  const { parent } = name
  if (ts.isPropertyAccessExpression(parent) || ts.isMetaProperty(parent)) return parent.name !== name
  if (ts.isBindingElement(parent)) return parent.initializer === name
  if (ts.isPropertyAssignment(parent)) return parent.initializer === name
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent) || ts.isBreakOrContinueStatement(parent))
    return false
  return !ts.isLabeledStatement(parent) && !isInType(name)
}

/** `extends Base` is written as a type but looked up as a value. */
function isInType(name: ts.Node): boolean {
  for (let node = name.parent; node !== undefined; node = node.parent) {
    if (ts.isExpressionWithTypeArguments(node)) return !isExtendsOfClass(node)
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return true
    if (ts.isStatement(node)) return false
  }
  return false
}

function isExtendsOfClass(node: ts.ExpressionWithTypeArguments): boolean {
  const clause = node.parent
  if (!ts.isHeritageClause(clause)) return true
  return clause.token === ts.SyntaxKind.ExtendsKeyword && ts.isClassLike(clause.parent)
}

function check(source: ts.SourceFile, checker: ts.TypeChecker): Finding[] {
  const isGlobal = (name: ts.Identifier): boolean => {
    const symbol = ts.isShorthandPropertyAssignment(name.parent)
      ? checker.getShorthandAssignmentValueSymbol(name.parent)
      : checker.getSymbolAtLocation(name)
    // The compiler's own symbols (undefined, globalThis) are declared nowhere.
    return (symbol?.declarations ?? []).length === 0
  }
  const judges: readonly Judge[] = [judgeAsync, judgeModuleState, judgeLocalMethods, judgeGlobals]
  const findings: Finding[] = []
  function visit(node: ts.Node): void {
    for (const judge of judges) {
      const detail = judge(node, isGlobal)
      if (detail !== undefined) findings.push(finding(node, 'purity', detail))
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return findings
}

/** Without library and without resolving imports: all that is asked of the compiler is where a name comes from. */
function programOf(sources: Sources): ts.Program {
  const options: ts.CompilerOptions = { noLib: true, noResolve: true, types: [], target: ts.ScriptTarget.ES2022 }
  const host: ts.CompilerHost = {
    fileExists: (file) => sources.has(file),
    readFile: (file) => sources.get(file),
    getSourceFile: (file, version) => {
      const text = sources.get(file)
      return text === undefined ? undefined : ts.createSourceFile(file, text, version, true)
    },
    getDefaultLibFileName: () => 'lib.d.ts',
    getCurrentDirectory: () => '',
    getCanonicalFileName: (file) => file,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => '\n',
    writeFile: () => undefined,
  }
  return ts.createProgram([...sources.keys()], options, host)
}

export function checkPurity(sources: Sources): Finding[] {
  const pure = new Map([...sources].filter(([file]) => PURE_ROOMS.some((room) => file.startsWith(room))))
  const program = programOf(pure)
  const checker = program.getTypeChecker()
  return [...pure.keys()].flatMap((file) => {
    const source = program.getSourceFile(file)
    return source === undefined ? [] : check(source, checker)
  })
}
