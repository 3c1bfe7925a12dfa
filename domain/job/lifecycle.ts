import type { Lifecycle } from '../lifecycle.js'
import { compileLifecycle } from '../lifecycle.js'
import type { JobEventType } from './events.js'
import { JOB_EVENT_TYPES } from './events.js'
import { jobMachine } from './machine.js'

export type Phase = 'absent' | 'waiting' | 'leased' | 'failing' | 'ended'
export const PHASES: readonly Phase[] = ['absent', 'waiting', 'leased', 'failing', 'ended']

/** The job machine, for the hot path. */
export const lifecycle: Lifecycle<Phase, JobEventType> = compileLifecycle(jobMachine, PHASES, JOB_EVENT_TYPES)

/** The phase after an event, or undefined where the machine refuses it. */
export function nextPhase(phase: Phase, type: JobEventType): Phase | undefined {
  return lifecycle[phase][type]
}
