/** SHA-256. */
export interface Digest {
  /** Of all parts one after the other (texts as UTF-8), in lower-case hex. */
  sha256(...parts: readonly (Uint8Array | string)[]): string
  /** Of these bytes: 32 bytes, written into `target` from `at` on, where one is given. */
  hash(bytes: Uint8Array, target?: Uint8Array, at?: number): Uint8Array
}
