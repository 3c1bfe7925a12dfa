/** Random numbers in [0, 1) that a seed repeats (mulberry32). */
export type Draw = () => number

export function draws(seed: number): Draw {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A sequence of its own for each part of one run, so that one that takes more draws does not shift the others. */
export function drawsFor(seed: number, part: string): Draw {
  let hash = seed
  for (const character of part) hash = (Math.imul(hash, 31) + (character.codePointAt(0) as number)) | 0
  return draws(hash)
}

/** A whole number from `least` to `most`. */
export const between = (draw: Draw, least: number, most: number): number =>
  least + Math.floor(draw() * (most - least + 1))

export const pick = <Item>(draw: Draw, items: readonly Item[]): Item => items[Math.floor(draw() * items.length)] as Item
