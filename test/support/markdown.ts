export interface Snippet {
  readonly file: string
  /** Line of the first line of code, from 1. */
  readonly line: number
  readonly language: string
  /** What stands behind the language on the fence: `no-run`, `run`. */
  readonly flags: readonly string[]
  readonly code: string
}

const OPENING = /^(?<indent> *)(?<fence>`{3,}|~{3,})\s*(?<info>.*)$/

interface Fence {
  readonly indent: number
  readonly mark: string
  readonly info: string
}

function openingOf(line: string): Fence | undefined {
  const groups = OPENING.exec(line)?.groups
  if (groups === undefined) return undefined
  const { indent = '', fence = '', info = '' } = groups
  return { indent: indent.length, mark: fence, info: info.trim() }
}

/** As CommonMark has it: the same character, at least as many, and nothing behind. */
function closes(line: string, { mark }: Fence): boolean {
  const text = line.trim()
  return text.startsWith(mark) && [...text].every((character) => character === mark[0])
}

/** A block in a list is indented together with its fence. */
function unindented(lines: readonly string[], by: number): string {
  const margin = new RegExp(`^ {0,${by}}`)
  return lines.map((line) => `${line.replace(margin, '')}\n`).join('')
}

/** Every fenced block of a markdown file, in order. A fence that is never closed reaches to the end of the file. */
export function snippetsOf(file: string, markdown: string): Snippet[] {
  const lines = markdown.split(/\r?\n/)
  const snippets: Snippet[] = []
  for (let at = 0; at < lines.length; at += 1) {
    const fence = openingOf(lines[at] ?? '')
    if (fence === undefined) continue
    const length = lines.slice(at + 1).findIndex((line) => closes(line, fence))
    const end = length < 0 ? lines.length : at + 1 + length
    const [language = '', ...flags] = fence.info.split(/\s+/)
    snippets.push({ file, line: at + 2, language, flags, code: unindented(lines.slice(at + 1, end), fence.indent) })
    at = end
  }
  return snippets
}
