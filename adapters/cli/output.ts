/** Data goes to stdout, talk to stderr. One place knows about JSON, colours and the width of the terminal. */
import { once } from 'node:events'
import { stripVTControlCharacters, styleText } from 'node:util'
import { formatMs } from '../../domain/duration.js'

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

export interface OutputOptions {
  readonly json: boolean
  readonly quiet: boolean
  readonly color: boolean
}

export class Output {
  readonly #options: OutputOptions

  constructor(options: OutputOptions) {
    this.#options = options
  }

  /** Documents are asked for. */
  get isJson(): boolean {
    return this.#options.json
  }

  /** What the verb was asked for: one document with --json, else the text. */
  data(document: unknown, text: () => string): void {
    const shown = this.#options.json ? JSON.stringify(document, bytesAsText) : text()
    if (shown !== '') process.stdout.write(`${shown}\n`)
  }

  /** As `data`, of what may be too long to be held: each thing as it comes. Answers with how many they were. */
  async series<Thing>(name: string, things: AsyncIterable<Thing>, line: (thing: Thing) => string): Promise<number> {
    const { json } = this.#options
    let count = 0
    if (json) await written(`{${JSON.stringify(name)}:[`)
    for await (const thing of things) {
      const separator = count === 0 ? '\n' : ',\n'
      await written(json ? separator + JSON.stringify(thing, bytesAsText) : `${line(thing)}\n`)
      count += 1
    }
    if (json) await written('\n]}\n')
    return count
  }

  /** What a person may like to know beside it. */
  talk(message: string): void {
    if (!this.#options.quiet && !this.#options.json) process.stderr.write(`${message}\n`)
  }

  /** How far it is, on one line of a terminal that the next one takes the place of; '' wipes it. Nothing elsewhere. */
  progress(message: string): void {
    if (this.#options.quiet || this.#options.json || !process.stderr.isTTY) return
    process.stderr.write(`\r${cut(message, (process.stderr.columns || 80) - 1)}\u001b[K`)
  }

  /** What went wrong, with --quiet too. A document has its own place for it. */
  complain(message: string): void {
    if (!this.#options.json) process.stderr.write(`error: ${oneLine(message)}\n`)
  }

  /** Obeys --no-color, NO_COLOR, FORCE_COLOR and what stdout is. */
  style(style: Style, text: string): string {
    return this.#options.color ? styleText(style, text, { stream: process.stdout }) : text
  }

  /** Rows under a heading. On a terminal the last column gives way to its width. */
  table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
    const all = [heading.map((title) => this.style('dim', title)), ...rows]
    const widths = heading.map((_, column) =>
      all.reduce((width, row) => Math.max(width, widthOf(row[column] ?? '')), 0),
    )
    const last = heading.length - 1
    const room = Math.max(LEAST_ROOM, screenWidth() - widths.slice(0, last).reduce((sum, width) => sum + width + 2, 0))
    const fill = (cell: string, column: number): string =>
      column === last ? cut(cell, room) : cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell))
    return all.map((row) => row.map(fill).join('  ').trimEnd()).join('\n')
  }

  /** `name  value` lines; a value that is undefined has no line. */
  facts(facts: Readonly<Record<string, string | undefined>>): string {
    const told = Object.entries(facts).filter((fact): fact is [string, string] => fact[1] !== undefined)
    const width = Math.max(...told.map(([name]) => name.length))
    const room = Math.max(LEAST_ROOM, screenWidth() - width - 2)
    return told.map(([name, value]) => `${this.style('dim', name.padEnd(width))}  ${cut(value, room)}`).join('\n')
  }
}

/** Waits for a slow reader: what it has not read must not pile up here. */
async function written(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

/** Columns for what is cut last, however narrow the terminal. */
const LEAST_ROOM = 20

const screenWidth = (): number => (process.stdout.isTTY ? process.stdout.columns || 80 : Number.POSITIVE_INFINITY)

/** Shortened to so many columns. Text with colours in it is short anyway. */
function cut(text: string, room: number): string {
  if (widthOf(text) <= room) return text
  let width = 0
  let kept = ''
  for (const character of stripVTControlCharacters(text)) {
    width += widthOf(character)
    if (width > room - 1) break
    kept += character
  }
  return `${kept}…`
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u

/** Columns on a terminal. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of stripVTControlCharacters(text))
    width += WIDE.test(character) ? 2 : /\p{M}/u.test(character) ? 0 : 1
  return width
}

/** Names and messages are others' words: what would steer the terminal is shown, not sent. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/** A message may be a page of code with a stack beneath: here it is one line. */
export function oneLine(text: string): string {
  return printable(text.replaceAll(/\s*\n\s*/g, ' '))
}

const PREVIEW = 120

/** A value of the user's on one line; '' for none. */
export function preview(value: unknown, length: number = PREVIEW): string {
  if (value === undefined) return ''
  if (value instanceof Uint8Array) return `<${value.length} bytes>`
  const text = printable(JSON.stringify(value))
  return text.length > length ? `${text.slice(0, length - 1)}…` : text
}

/** JSON has no bytes. */
export function bytesAsText(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

export const iso = (at: number): string => new Date(at).toISOString()

/** `3m 2s ago`, `in 5m`. */
export function age(at: number, now: number = Date.now()): string {
  const ms = now - at
  if (Math.abs(ms) < 1_000) return 'now'
  return ms > 0 ? `${formatMs(ms)} ago` : `in ${formatMs(-ms)}`
}

/** An instant for a person: exact, and how far away it is. */
export const when = (at: number): string => `${iso(at)} (${age(at)})`
