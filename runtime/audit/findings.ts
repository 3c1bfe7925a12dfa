/** What a check has found, in words that name the place. */
import type { EventTexts } from '../../domain/event.js'

export interface AuditFinding {
  /**
   * `changed`: an event is not as it was. `dropped`: one is gone, and nothing on record says why. `inserted`: one came in that
   * was not there. `moved`: one is not where it was. `rewritten`: leaves were exchanged together with their hashes.
   * `truncated`: the end is gone. `signature`: a checkpoint that no key known signed. `erased`: a body is gone, and nothing on
   * record says so. `missing`: a file of the archive cannot be read, and so what is in it cannot be checked. `record`: what the audit stream says of checkpoints does not hold together.
   */
  readonly kind:
    | 'changed'
    | 'dropped'
    | 'inserted'
    | 'moved'
    | 'rewritten'
    | 'truncated'
    | 'signature'
    | 'erased'
    | 'missing'
    | 'record'
  readonly message: string
  /** Which leaves, from 0. */
  readonly leaves?: { readonly from: number; readonly to: number }
  /** The event, where one is there to be named. */
  readonly stream?: string
  readonly revision?: number
  readonly type?: string
  readonly position?: string
  /** The file of the archive, and how many events are in it. */
  readonly file?: string
  readonly events?: number
}

export type Named = Pick<EventTexts, 'stream' | 'revision' | 'type' | 'position'>

export const placeOf = ({ stream, revision, type, position }: Named): Named => ({ stream, revision, type, position })

export const wordsOf = ({ stream, revision, type }: Named): string => `${type} at revision ${revision} of ${stream}`

export function about(kind: AuditFinding['kind'], event: Named, leaf: number, what: string): AuditFinding {
  return { kind, message: `${wordsOf(event)} ${what}`, leaves: { from: leaf, to: leaf }, ...placeOf(event) }
}

/** `to`: the last of them. */
export const leavesWords = (from: number, to: number): string =>
  from === to ? `leaf ${from}` : `leaves ${from} to ${to}`
