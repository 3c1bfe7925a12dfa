import type { Readable } from 'node:stream'

/** UTF-16 units of one line; a longer one comes in pieces, so that an endless one needs no room here. */
const LONGEST = 8_192

/** Tells each line that a process writes. */
export function onLines(stream: Readable | null | undefined, tell: (line: string) => void): void {
  let rest = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (chunk: string) => {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() as string
    for (const line of lines) tell(line.slice(0, LONGEST))
    for (; rest.length >= LONGEST; rest = rest.slice(LONGEST)) tell(rest.slice(0, LONGEST))
  })
  stream?.on('end', () => {
    if (rest !== '') tell(rest)
  })
  stream?.on('error', () => {})
}
