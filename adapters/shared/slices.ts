import { setImmediate as nextTurn } from 'node:timers/promises'

/** Answers a long list slice by slice, in order, and lets the event loop go between two of them. */
export async function inSlices<Item, Answer>(
  items: readonly Item[],
  size: number,
  answer: (slice: readonly Item[]) => readonly Answer[],
): Promise<Answer[]> {
  const answers: Answer[] = []
  let next = 0
  do {
    if (next > 0) await nextTurn()
    for (const each of answer(items.slice(next, next + size))) answers.push(each)
    next += size
  } while (next < items.length)
  return answers
}
