/**
 * The event as every store keeps it: small facts that folds read, and the user's bytes apart from them.
 * This is a storage format. Inside a type only additive optional changes; a new meaning is a new type.
 */

/** What JSON can hold. No bigint, Date or undefined: what is written reads back byte for byte. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Flat string -> string: `$correlationId`, `$causationId`, `actor`, `reason`, `schemaVersion`, `traceparent`. */
export type Metadata = Readonly<Record<string, string>>

/**
 * The user's bytes (payload, result, partial result, message and stack of an error), kept apart from the facts so that
 * they can be erased while the facts stay. `salt` is 16 random bytes: an erased body cannot be guessed from its hash.
 */
export interface Body {
  readonly salt: Uint8Array
  /** JSON text, or raw bytes. */
  readonly content: string | Uint8Array
}

/** What is left of a body after `erase`: sha256(salt || content), 32 bytes. */
export interface ErasedBody {
  readonly hash: Uint8Array
}

/** A fact about to be recorded. `id` (a uuid) and `at` (ms since the epoch, our own clock) are stamped once per decision. */
export interface NewEvent<Type extends string = string, Facts extends object = object> {
  readonly stream: string
  readonly id: string
  readonly type: Type
  readonly at: number
  readonly data: Facts
  readonly metadata?: Metadata | undefined
  /** Erased already only where a whole log is copied: a store keeps the hash as if it had erased the body itself. */
  readonly body?: Body | ErasedBody | undefined
}

/** Place in the global order of one store. Opaque, made by the store, ordered as a string; `''` is before everything. */
export type Position = string

/** Before the first event of any log. */
export const START: Position = ''

/** A fact as recorded. `revision` counts from 0 in its stream. `body` is absent when there is none or none was asked for. */
export interface RecordedEvent<Type extends string = string, Facts extends object = object>
  extends NewEvent<Type, Facts> {
  readonly revision: number
  readonly position: Position
}

/** A recorded fact just as it is stored: facts and metadata are the very texts, not what they mean. */
export interface EventTexts extends Omit<RecordedEvent, 'data' | 'metadata'> {
  /** JSON. */
  readonly data: string
  /** JSON; absent where there is none. */
  readonly metadata?: string | undefined
}

/** A decided fact before it is stamped with id, time and salt. `stream` is the decider's to know. */
export interface Draft<Type extends string = string, Facts extends object = object> {
  readonly stream: string
  readonly type: Type
  readonly data: Facts
  /** Content of the body. */
  readonly body?: string | Uint8Array
}
