import { createHash, hash } from 'node:crypto'
import type { Digest } from '../../runtime/ports/digest.js'

const HASH_BYTES = 32

export const nodeDigest: Digest = {
  sha256(...parts) {
    const hash = createHash('sha256')
    for (const part of parts) hash.update(part)
    return hash.digest('hex')
  },

  // By way of a text: a Buffer from `hash` itself takes more than twice as long (0.85 us for 65 bytes, this 0.35).
  hash(bytes, target = new Uint8Array(HASH_BYTES), at = 0) {
    const text = hash('sha256', bytes, 'binary')
    for (let index = 0; index < HASH_BYTES; index += 1) target[at + index] = text.charCodeAt(index)
    return target
  },
}
