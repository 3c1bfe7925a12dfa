/** Measures the engine and prints one table: see docs/performance.md. */
import { Bench } from './bench.js'
import { CASES, TASKS } from './cases.js'
import { environment } from './environment.js'
import type { Figure } from './figure.js'
import { medians } from './figure.js'
import { HELP, readOptions } from './options.js'
import type { Outcome } from './table.js'
import { renderJson, renderTable } from './table.js'
import { serveTask } from './task.js'

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), [...CASES.keys()])
  if (options.help) {
    console.log(HELP + [...CASES.keys()].join(', '))
    return
  }
  using bench = new Bench(options)
  console.error(environment(bench.dir))
  const cases = options.only.map((name) => () => measure(name, bench, options.runs))
  // One iteration of everything measures nothing: it may as well be quick.
  const outcomes = options.once ? (await Promise.all(cases.map((run) => run()))).flat() : await inTurn(cases)
  console.log(options.json ? renderJson(outcomes) : renderTable(outcomes))
  if (options.once) console.error('One tiny iteration each: the figures mean nothing.')
  if (options.keep) console.error(`The files are in ${bench.dir}.`)
  if (outcomes.some((outcome) => 'failed' in outcome)) process.exitCode = 1
}

async function inTurn(cases: readonly (() => Promise<Outcome[]>)[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const run of cases) outcomes.push(...(await run()))
  return outcomes
}

async function measure(name: string, bench: Bench, runs: number): Promise<Outcome[]> {
  const began = performance.now()
  const run = CASES.get(name) as (bench: Bench) => Promise<Figure[]>
  const figures: Figure[][] = []
  try {
    while (figures.length < runs) figures.push(await run(bench))
    console.error(`${name}: ${((performance.now() - began) / 1_000).toFixed(1)} s`)
    return medians(figures)
  } catch (error) {
    const failed = error instanceof Error ? error.message : String(error)
    console.error(`${name}: ${failed}`)
    return [{ name, failed }]
  }
}

if (!(await serveTask(TASKS))) await main()
