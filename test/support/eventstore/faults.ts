/** What a fake server can be told to do wrong. */
export interface Faults {
  /** Says it is not ready yet, to appends and reads alike. */
  notReady: boolean
  /** Names another node as the leader. */
  leader: { readonly host: string; readonly port: number } | undefined
  /** Appends are stored, and the stream they came on is ended with OK before the answer. */
  halfClose: boolean
  /** Appends are stored and never answered. */
  mute: boolean
  /** Wait before the answer to an append, in ms. */
  delay: number
  /** How long an event can be told of in a conflict before it can be read, in ms. Its own append is answered after that. */
  lag: number
  /** Removals that it does not get through in time, from now on. */
  busy: number
  /** Streams whose names begin so may not be written; `$all` may not be read when it is named. */
  denied: readonly string[]
  /** Who may come, where not everybody may. */
  account: { readonly user: string; readonly password: string } | undefined
  /** What the server says it is. */
  version: string
  /** Whether it can tell what it is at all: versions before 21.10 cannot. */
  features: boolean
}

export function noFaults(): Faults {
  return {
    notReady: false,
    leader: undefined,
    halfClose: false,
    mute: false,
    delay: 0,
    busy: 0,
    lag: 0,
    denied: [],
    account: undefined,
    version: '24.6.0.0',
    features: true,
  }
}
