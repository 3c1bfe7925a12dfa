import type { Tally } from './tally.js'

const BAR = 30
const REDRAW_MS = 100
const LINE_MS = 5_000
/** Not on a terminal: a line also at each of these parts of the work. */
const PARTS = 10

const format = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })
export const show = (value: number): string => format.format(value)

/** How far it is: a bar on a terminal, else a line now and then. */
export class Progress {
  readonly #tally: Tally
  readonly #stream: NodeJS.WriteStream
  readonly #timer: NodeJS.Timeout
  #expected = 0
  #complete = false
  #part = 0

  constructor(tally: Tally, stream: NodeJS.WriteStream) {
    this.#tally = tally
    this.#stream = stream
    this.#timer = setInterval(() => this.#draw(), stream.isTTY ? REDRAW_MS : LINE_MS)
    this.#timer.unref()
  }

  /** That many jobs more are to end. */
  expect(jobs: number): void {
    this.#expected += jobs
  }

  /** Nothing more will be expected: from now on the parts of the work mean something. */
  expectNoMore(): void {
    this.#complete = true
    this.#part = this.#partDone()
  }

  /** Call it after each event. */
  update(): void {
    if (!this.#complete || this.#stream.isTTY) return
    const part = this.#partDone()
    if (part <= this.#part) return
    this.#part = part
    this.#draw()
  }

  /** A line of its own; on a terminal in place of the bar, which comes back below it. */
  say(text: string): void {
    this.#stream.write(`${this.#stream.isTTY ? '\r\x1b[K' : ''}${text}\n`)
  }

  stop(): void {
    clearInterval(this.#timer)
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K')
  }

  #partDone(): number {
    return this.#expected === 0 ? 0 : Math.floor((this.#tally.ended / this.#expected) * PARTS)
  }

  #draw(): void {
    if (this.#expected === 0) return
    const { ended, rate } = this.#tally
    const done = Math.min(1, ended / this.#expected)
    const jobs = `${show(ended)} of ${show(this.#expected)} jobs, ${show(rate)} jobs/s`
    const bar = '█'.repeat(Math.round(done * BAR)).padEnd(BAR, '░')
    if (this.#stream.isTTY) this.#stream.write(`\r${bar} ${jobs}\x1b[K`)
    else this.say(`${Math.floor(done * 100)} %: ${jobs}`)
  }
}
