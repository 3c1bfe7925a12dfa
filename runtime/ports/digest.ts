/** SHA-256. */
export interface Digest {
  /** Of all parts one after the other (texts as UTF-8), in lower-case hex. */
  sha256(...parts: readonly (Uint8Array | string)[]): string
  /** Of these bytes: 32 bytes. */
  hash(bytes: Uint8Array): Uint8Array
}
