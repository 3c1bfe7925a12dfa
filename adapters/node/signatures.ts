import type { KeyObject } from 'node:crypto'
import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import type { Signatures } from '../../runtime/ports/signatures.js'

/** What stands before the bytes of a key in the only forms that Node reads. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

const privateKey = (seed: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })

export const nodeSignatures: Signatures = {
  generate: () => randomBytes(32),
  publicKeyOf: (seed) =>
    createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' }).subarray(SPKI.length),
  sign: (seed, message) => sign(null, message, privateKey(seed)),
  verify: (publicKey, message, signature) =>
    verify(
      null,
      message,
      createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' }),
      signature,
    ),
}
