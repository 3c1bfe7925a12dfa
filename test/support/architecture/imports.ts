/** Who imports what, and whether they may: `domain <- projections <- runtime <- adapters`. */
import { posix } from 'node:path'
import ts from 'typescript'
import { descendants, type Finding, finding, parse, type Sources } from './source.js'

export interface Import {
  readonly from: string
  /** A path from the repository's root for a file of ours, else the bare specifier. */
  readonly to: string
  readonly ours: boolean
  readonly typeOnly: boolean
  readonly node: ts.Node
}

/** The packages each room may use. `type:` in front: only its types. Design §1 argues them; add here what it adds there. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  domain: ['xstate', 'croner'],
  projections: ['tinyqueue'],
  runtime: ['rxjs', 'xstate', 'uuid', 'type:@standard-schema/spec'],
  'adapters/cli': ['commander', 'jiti', 'type:rxjs'],
  'adapters/eventstore': ['@eventstore/db-client'],
  // `module`: the handler modules of users, which a child process is told to load.
  'adapters/node': ['uuid', 'module'],
  'adapters/postgres': ['pg'],
  'adapters/sqlite': ['better-sqlite3'],
  'adapters/testing': ['tinyqueue'],
}

/** The ports inject the world, so the engine needs nothing of Node. Each exception stands here with its reason. */
const RUNTIME_NODE_MODULES: readonly string[] = []

/** The rooms each room may look into, besides itself. */
const ROOMS_BELOW: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  projections: ['domain'],
  runtime: ['projections', 'domain'],
  adapters: ['runtime', 'projections', 'domain'],
}

/** The places that name concrete adapters, and who may walk through them. */
const DOORS: readonly string[] = [
  'adapters/open-ledger.ts',
  'adapters/copy-ledger.ts',
  'adapters/open-maintenance.ts',
  'adapters/audit-tools.ts',
]
const MAY_OPEN: readonly string[] = ['adapters/cli', 'adapters/testing']

/** What several stores have in common. Any adapter may look into it. */
const SHARED = 'adapters/shared'

function specifierNode(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined
  if (ts.isExternalModuleReference(node)) return node.expression
  const calls = ts.isCallExpression(node) && node.expression
  if (!calls) return undefined
  const loads = calls.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(calls) && calls.text === 'require')
  return loads ? node.arguments[0] : undefined
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true
  if (ts.isExportDeclaration(node)) return node.isTypeOnly
  return ts.isImportDeclaration(node) && node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
}

function resolve(from: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, '.ts')
}

export function importsOf(file: string, text: string): Import[] {
  const found: Import[] = []
  for (const node of descendants(parse(file, text))) {
    const specifier = specifierNode(node)
    if (specifier === undefined) continue
    // A computed specifier cannot be judged: it stays as the text it is written with, which no list allows.
    const name = ts.isStringLiteralLike(specifier) ? specifier.text : specifier.getText()
    const ours = name.startsWith('.')
    found.push({ from: file, to: ours ? resolve(file, name) : name, ours, typeOnly: isTypeOnly(node), node })
  }
  return found
}

/** `adapters/sqlite` for a file of an adapter, the top folder for other files, '' for a file at the top. */
function roomOf(file: string): string {
  const parts = file.split('/')
  const depth = parts[0] === 'adapters' && parts.length > 2 ? 2 : 1
  return parts.length === 1 ? '' : parts.slice(0, depth).join('/')
}

const topOf = (room: string): string => room.split('/')[0] ?? ''

function mayImportFile(from: string, to: string): boolean {
  const [room, target] = [roomOf(from), roomOf(to)]
  if (ROOMS_BELOW[topOf(room)]?.includes(target) === true) return true
  if (target === SHARED) return topOf(room) === 'adapters'
  if (DOORS.includes(from)) return topOf(target) === 'adapters'
  if (DOORS.includes(to)) return MAY_OPEN.includes(room)
  return target === room
}

function mayImportPackage(room: string, { to, typeOnly }: Import): boolean {
  if (to.startsWith('node:')) {
    if (room === 'runtime') return RUNTIME_NODE_MODULES.includes(to)
    return topOf(room) === 'adapters'
  }
  const name = to
    .split('/')
    .slice(0, to.startsWith('@') ? 2 : 1)
    .join('/')
  const allowed = PACKAGES[room] ?? []
  return allowed.includes(name) || (typeOnly && allowed.includes(`type:${name}`))
}

function judge(edge: Import): Finding | undefined {
  const room = roomOf(edge.from)
  if (edge.ours) {
    if (mayImportFile(edge.from, edge.to)) return undefined
    return finding(edge.node, 'import-direction', `${room} may not import ${edge.to}`)
  }
  if (mayImportPackage(room, edge)) return undefined
  const how = edge.typeOnly ? 'the types of ' : ''
  return finding(edge.node, 'import-package', `${room} may not import ${how}${edge.to}`)
}

/** index.ts, tests, examples and benchmarks may import anything: only the rooms are judged. */
export function checkImportDirections(sources: Sources): Finding[] {
  const rooms = [...sources].filter(([file]) => topOf(roomOf(file)) in ROOMS_BELOW)
  return rooms.flatMap(([file, text]) => importsOf(file, text).flatMap((edge) => judge(edge) ?? []))
}
