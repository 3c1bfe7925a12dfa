import { v5, v7 } from 'uuid'

const NAMESPACE = '0b7e6a52-8a3c-4f5b-9d0e-1f2a6c4b7d93'
/** A uuid v7 has 48 bits for its time (ms). */
const LATEST = 2 ** 48 - 1

/**
 * The id that every runtime gives to the job of one occurrence: a uuid v7 whose time is the occurrence, and whose other bits
 * are a hash of trigger and `what` (by default the occurrence).
 */
export function jobIdOf(triggerId: string, occurrence: number, what: string = `${occurrence}`): string {
  const random = v5(JSON.stringify([triggerId, what]), NAMESPACE, new Uint8Array(16))
  const seq = new DataView(random.buffer).getUint32(0)
  return v7({ msecs: Math.min(occurrence, LATEST), seq: seq & 0x7fff_ffff, random })
}
