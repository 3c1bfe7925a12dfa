/** What a chaos run says: how far it is while it goes on, and what came of it. */
import type { Progress, Report } from './fleet.js'
import type { Survey } from './outcomes.js'

const LINE_MS = 10_000
/** Faults listed; the rest is counted. */
const SHOWN = 20

const number = new Intl.NumberFormat('en-US')

const listed = (counts: Survey): string =>
  Object.entries(counts)
    .map(([what, count]) => `${number.format(count)} ${what}`)
    .join(', ')

/** One line that is written anew on a terminal; else a line now and then. */
export class Ticker {
  readonly #stream: NodeJS.WriteStream
  #saidAt = Date.now()

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  show({ enqueued, open, deeds }: Progress): void {
    const text = `${number.format(enqueued)} enqueued, ${number.format(open)} open; ${listed(deeds)}`
    if (this.#stream.isTTY) this.#stream.write(`\r${text}\x1b[K`)
    else if (Date.now() - this.#saidAt >= LINE_MS) {
      this.#saidAt = Date.now()
      this.#stream.write(`${text}\n`)
    }
  }

  stop(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K')
  }
}

export function renderReport({ faults, deeds, survey, said }: Report): string {
  const more = faults.length - SHOWN
  return [
    `processes  ${listed(deeds)}`,
    `log        ${listed(survey)}`,
    `said       ${listed(said) || 'nothing'}`,
    `faults     ${faults.length === 0 ? 'none' : number.format(faults.length)}`,
    ...faults.slice(0, SHOWN).map((fault) => `  ${fault}`),
    ...(more > 0 ? [`  and ${number.format(more)} more`] : []),
  ].join('\n')
}
