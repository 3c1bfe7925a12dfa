import type { Position } from '../../domain/event.js'
import type { Checkpoint } from '../../runtime/ports/views.js'

/** `seen` is the checkpoint that the caller was last shown: who then brings everything anew has found it unfit. */
interface Save {
  readonly checkpoint: Checkpoint
  readonly since: Position | 'all'
  readonly seen: Checkpoint | undefined
}

/**
 * What a save may do over what is kept: write; nothing, since what is kept is as far or further; nothing, since what is
 * kept ends before the point from which the caller brings rows.
 */
export function verdict(kept: Checkpoint | undefined, { checkpoint, since, seen }: Save): 'write' | 'ahead' | 'gap' {
  if (kept === undefined) return since === '' || since === 'all' ? 'write' : 'gap'
  const ours = kept.logId === checkpoint.logId && kept.version === checkpoint.version
  // A log restored from a backup finds rows of a later day: being further on does not make them right.
  if (since === 'all') return ours && kept.position >= checkpoint.position && !isSame(kept, seen) ? 'ahead' : 'write'
  if (!ours) return 'gap'
  if (kept.position >= checkpoint.position) return 'ahead'
  return kept.position >= since ? 'write' : 'gap'
}

function isSame(kept: Checkpoint, seen: Checkpoint | undefined): boolean {
  return seen !== undefined && kept.position === seen.position && kept.eventId === seen.eventId
}
