import type { CheckpointBegun, CheckpointSigned, LeavesHashed } from '../../domain/audit/events.js'
import { AUDIT_STREAM } from '../../domain/audit/events.js'
import type { Draft } from '../../domain/event.js'
import type { Command, Seen } from '../write/command.js'

type See = (stream: string) => Seen

const revisionIn = (seen: See): number => seen(AUDIT_STREAM).state?.revision ?? -1

const draft = (type: string, data: object, body?: Uint8Array): Draft => ({
  ...{ stream: AUDIT_STREAM, type, data },
  ...(body !== undefined && { body }),
})

/** Answers with the revision of the event that ends the range. */
export const begin = (): Command<number> => ({
  streams: [AUDIT_STREAM],
  decide: (seen) => ({
    drafts: [draft('CheckpointBegun', {} satisfies CheckpointBegun)],
    answer: revisionIn(seen) + 1,
  }),
})

export const keepLeaves = (data: LeavesHashed, leaves: Uint8Array): Command<void> => ({
  streams: [AUDIT_STREAM],
  decide: () => ({ drafts: [draft('LeavesHashed', data, leaves)], answer: undefined }),
})

/** False: something has been recorded there since the event of revision `seen`, which has to be looked at first. */
export const sign = (data: CheckpointSigned, lastSeen: number): Command<boolean> => ({
  streams: [AUDIT_STREAM],
  decide: (seen) =>
    revisionIn(seen) === lastSeen
      ? { drafts: [draft('CheckpointSigned', data)], answer: true }
      : { drafts: [], answer: false },
})
