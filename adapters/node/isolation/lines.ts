import type { Readable } from 'node:stream'

/** UTF-16 units of one line; a longer one comes in pieces, so that an endless one needs no room here. */
const LONGEST = 8_192

/** Tells each line that a process writes. */
export function onLines(stream: Readable | null | undefined, tell: (line: string) => void): void {
  let rest = ''
  /** All but what is left for the end. */
  const tellPieces = (line: string): string => {
    let left = line
    for (; left.length > LONGEST; left = left.slice(LONGEST)) tell(left.slice(0, LONGEST))
    return left
  }
  stream?.setEncoding('utf8')
  stream?.on('data', (chunk: string) => {
    const lines = `${rest}${chunk}`.split('\n')
    const last = lines.pop() as string
    for (const line of lines) tell(tellPieces(line))
    rest = tellPieces(last)
  })
  stream?.on('end', () => {
    if (rest !== '') tell(rest)
  })
  stream?.on('error', () => {})
}
