import type { Finding } from './source.js'

const FOLDERS = ['domain', 'projections', 'runtime', 'adapters', 'test', 'bench', 'docs', 'examples', '.ci']

const FILES = [
  '.editorconfig',
  '.gitattributes',
  '.gitignore',
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'biome.json',
  'index.ts',
  'knip.json',
  'package-lock.json',
  'package.json',
  'tsconfig.build.json',
  'tsconfig.json',
  'vitest.config.ts',
]

/** The first screen of the repository shows its architecture, so nothing joins it by accident. */
export function checkTopLevel(paths: readonly string[]): Finding[] {
  const entries = new Set(paths.map((path) => (path.includes('/') ? `${path.split('/')[0]}/` : path)))
  const allowed = new Set([...FOLDERS.map((folder) => `${folder}/`), ...FILES])
  return [...entries]
    .filter((entry) => !allowed.has(entry))
    .map((file) => ({ file, line: 1, rule: 'top-level', detail: 'is not part of the fixed top level' }))
}
