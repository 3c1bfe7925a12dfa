/** Ids and randomness, injected: a seed replays any run. */
export interface Ids {
  /** A uuid v7: ordered by time, so that indexes stay local. */
  uuid(): string
  /** A number in [0, 1). */
  draw(): number
  /** 16 random bytes. */
  salt(): Uint8Array
}
