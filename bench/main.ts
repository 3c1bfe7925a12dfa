/** Measures the engine and prints one table: see docs/performance.md. */
import { Bench } from './bench.js'
import { CASES, TASKS } from './cases.js'
import { environment } from './environment.js'
import type { Figure } from './figure.js'
import { medians } from './figure.js'
import type { Options } from './options.js'
import { HELP, readOptions } from './options.js'
import type { Outcome } from './table.js'
import { renderJson, renderTable } from './table.js'
import { serveTask } from './task.js'

async function main(): Promise<void> {
  const options = parse()
  if (options === undefined) return
  if (options.help) {
    console.log(HELP + [...CASES.keys()].join(', '))
    return
  }
  const bench = new Bench(options)
  process.once('exit', () => bench.clear())
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  console.error(environment(bench.dir))
  const outcomes: Outcome[] = []
  for (const name of options.only) outcomes.push(...(await measure(name, bench, options.runs)))
  console.log(options.json ? renderJson(outcomes) : renderTable(outcomes))
  if (options.once) console.error('One tiny iteration each: the figures mean nothing.')
  if (options.keep) console.error(`The files are in ${bench.dir}.`)
  if (outcomes.some((outcome) => 'failed' in outcome)) process.exitCode = 1
}

/** Undefined, with a word about it, for a command line that is not understood. */
function parse(): Options | undefined {
  try {
    return readOptions(process.argv.slice(2), [...CASES.keys()])
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\nSee --help.`)
    process.exitCode = 2
    return undefined
  }
}

async function measure(name: string, bench: Bench, runs: number): Promise<Outcome[]> {
  const began = performance.now()
  const run = CASES.get(name) as (bench: Bench) => Promise<Figure[]>
  const figures: Figure[][] = []
  try {
    while (figures.length < runs) figures.push(await run(bench))
    console.error(`${name}: ${((performance.now() - began) / 1_000).toFixed(1)} s`)
    return bench.once ? figures.flat().map(withoutBounds) : medians(figures)
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error)
    console.error(`${name}: ${failed}`)
    return [{ name, failed }]
  }
}

/** What one tiny iteration measures is not to be judged. */
function withoutBounds(figure: Figure): Figure {
  return { ...figure, target: {}, goal: {} }
}

if (!(await serveTask(TASKS))) await main()
