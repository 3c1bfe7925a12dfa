/** Ed25519. Keys and signatures are plain bytes: 32, 32 and 64. */
export interface Signatures {
  /** A new private key. */
  generate(): Uint8Array
  publicKeyOf(seed: Uint8Array): Uint8Array
  sign(seed: Uint8Array, message: Uint8Array): Uint8Array
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean
}
