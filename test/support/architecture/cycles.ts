import { type Import, importsOf } from './imports.js'
import { type Finding, finding, type Sources } from './source.js'

/** Types count too: two files that need each other to be understood are one file. */
export function checkCycles(sources: Sources): Finding[] {
  const edges = new Map([...sources].map(([file, text]) => [file, importsOf(file, text).filter(({ ours }) => ours)]))
  const finished = new Set<string>()
  const findings: Finding[] = []

  function visit(file: string, trail: readonly string[]): void {
    for (const edge of edges.get(file) ?? []) {
      if (trail.includes(edge.to)) findings.push(cycle(edge, trail))
      else if (!finished.has(edge.to)) visit(edge.to, [...trail, edge.to])
    }
    finished.add(file)
  }

  for (const file of edges.keys()) if (!finished.has(file)) visit(file, [file])
  return findings
}

/** Reported at the import that closes the circle. */
function cycle(closing: Import, trail: readonly string[]): Finding {
  const circle = [...trail.slice(trail.indexOf(closing.to)), closing.to]
  return finding(closing.node, 'import-cycle', circle.join(' -> '))
}
