import type { JobFacts } from './events.js'

const NO_TRIGGERS: readonly string[] = Object.freeze([])

/** The triggers in whose course a job is, its own last: the `chain` of whatever comes of it. */
export function courseOf({
  trigger,
  chain = NO_TRIGGERS,
}: Pick<JobFacts, 'trigger' | 'chain'> = {}): readonly string[] {
  return trigger === undefined || chain.includes(trigger.id) ? chain : [...chain, trigger.id]
}
