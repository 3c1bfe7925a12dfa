/** Random bytes that are the same for the same seed (mulberry32). For tests only: nothing secret comes from here. */
export function seededBytes(seed: number): (buffer: Uint8Array) => void {
  let state = seed >>> 0
  const draw = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return (buffer) => {
    for (let index = 0; index < buffer.length; index += 1) buffer[index] = draw() & 0xff
  }
}
