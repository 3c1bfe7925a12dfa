/** Draws a machine for people: mermaid text, made from the machine and from nothing else. */
import type { AnyStateMachine } from 'xstate'

/** A generated part of a page stands between two of these. */
const opening = (name: string): string => `<!-- generated: ${name} -->`
const CLOSING = '<!-- end of generated -->'

/**
 * The first state of most machines is the stream that is not there yet: the black dot of a diagram. One that may be reached
 * again has a name.
 */
function stateDiagram(machine: AnyStateMachine): string {
  const states = Object.entries(machine.states)
  const first = states[0]?.[0] as string
  const isReached = states.some(([, { transitions }]) =>
    [...transitions.values()].flat().some(({ target }) => target?.[0]?.key === first),
  )
  const name = (state: string): string => (state === first && !isReached ? '[*]' : state)
  const begins = isReached ? [`  [*] --> ${first}`] : []
  const arrows = states.flatMap(([from, state]) => {
    const steps = [...state.transitions.values()].flat()
    const targets = [...new Set(steps.map(({ target }) => target?.[0]?.key ?? from))]
    const labels = (to: string): string =>
      steps.flatMap(({ target, eventType }) => ((target?.[0]?.key ?? from) === to ? [eventType] : [])).join(', ')
    const ends = state.type === 'final' ? [`  ${name(from)} --> [*]`] : []
    return [...targets.map((to) => `  ${name(from)} --> ${name(to)}: ${labels(to)}`), ...ends]
  })
  return ['```mermaid', 'stateDiagram-v2', '  direction LR', ...begins, ...arrows, '```'].join('\n')
}

/** The page with each generated part made anew. Throws where the page has no place for one. */
export function withDiagrams(page: string, machines: Readonly<Record<string, AnyStateMachine>>): string {
  return Object.entries(machines).reduce((text, [name, machine]) => {
    const start = text.indexOf(opening(name))
    const end = text.indexOf(CLOSING, start)
    if (start === -1 || end === -1) throw new Error(`The page has no part "${opening(name)} ... ${CLOSING}".`)
    return `${text.slice(0, start)}${opening(name)}\n\n${stateDiagram(machine)}\n\n${text.slice(end)}`
  }, page)
}
