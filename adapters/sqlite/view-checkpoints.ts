import type { Position } from '../../domain/event.js'
import type { Checkpoint } from '../../runtime/ports/views.js'

/**
 * What a save may do over what is kept: write; nothing, since what is kept is as far or further; nothing, since what is
 * kept ends before the point from which the caller brings rows. 'all' always writes: the caller brings everything and
 * may have found that the checkpoint kept is of another history, however far on it is.
 */
export function verdict(
  kept: Checkpoint | undefined,
  { checkpoint, since }: { readonly checkpoint: Checkpoint; readonly since: Position | 'all' },
): 'write' | 'ahead' | 'gap' {
  if (since === 'all') return 'write'
  if (kept === undefined) return since === '' ? 'write' : 'gap'
  if (kept.logId !== checkpoint.logId || kept.version !== checkpoint.version) return 'gap'
  if (kept.position >= checkpoint.position) return 'ahead'
  return kept.position >= since ? 'write' : 'gap'
}
