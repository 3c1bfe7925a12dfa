/** For whom, and in the course of what, somebody speaks to the ledger. */

import { InvalidOption } from '../../domain/errors.js'
import type { Metadata } from '../../domain/event.js'
import type { JobOrigin } from '../../domain/job/events.js'
import { checkKeys, toName } from '../checks.js'

/** Who does it and why, recorded with every deed. */
export interface Actor {
  readonly user: string
  /** What the user may do: types may be reserved for a role. Default: none; not recorded. */
  readonly roles?: readonly string[]
  readonly reason?: string
}

/** The run in whose course something is enqueued. */
export interface Course {
  readonly id: string
  readonly correlationId: string
  readonly origin: JobOrigin | undefined
  /** Those in whose course the run is. */
  readonly triggers: readonly string[]
}

/** What goes with the events of a deed, and what a new job inherits. */
export interface Speaker {
  readonly metadata: Metadata | undefined
  readonly origin: JobOrigin | undefined
  /** Triggers in whose course it is done; undefined: none. */
  readonly chain: readonly string[] | undefined
  /** What an actor may do; undefined: the program itself speaks, which may do everything. */
  readonly roles: readonly string[] | undefined
}

const NOBODY: Speaker = Object.freeze({ metadata: undefined, origin: undefined, chain: undefined, roles: undefined })
const NO_ROLES: readonly string[] = Object.freeze([])

export function speakerOf(actor: Actor | undefined, course: Course | undefined): Speaker {
  if (actor === undefined && course === undefined) return NOBODY
  const metadata = {
    ...(actor !== undefined && { actor: actor.user }),
    ...(actor?.reason !== undefined && { reason: actor.reason }),
    ...(course !== undefined && { $correlationId: course.correlationId, $causationId: course.id }),
  }
  const origin = actor === undefined ? course?.origin : { ...course?.origin, user: actor.user }
  const chain = course === undefined || course.triggers.length === 0 ? undefined : course.triggers
  return { metadata, origin, chain, roles: actor && (actor.roles ?? NO_ROLES) }
}

const ACTOR_KEYS = new Set(['user', 'roles', 'reason'])

/** Throws InvalidOption. */
export function toActor(given: Actor): Actor {
  checkKeys(given, ACTOR_KEYS, 'as')
  const { user, roles, reason } = given
  if (roles !== undefined && !(Array.isArray(roles) && roles.every((role) => typeof role === 'string'))) {
    throw new InvalidOption('as.roles', 'an array of texts', roles)
  }
  return {
    user: toName(user, 'as.user'),
    ...(roles !== undefined && { roles }),
    ...(reason !== undefined && { reason: toName(reason, 'as.reason') }),
  }
}
