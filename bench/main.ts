/** Measures the engine and prints one table: see docs/performance.md. */
import { Bench } from './bench.js'
import { CASES, TASKS } from './cases.js'
import { environment } from './environment.js'
import type { Figure } from './figure.js'
import { medians } from './figure.js'
import type { Options } from './options.js'
import { HELP, readOptions, storeOf } from './options.js'
import { storeCases } from './stores/cases.js'
import type { Outcome } from './table.js'
import { renderJson, renderTable } from './table.js'
import { serveTask } from './task.js'

type Case = (bench: Bench) => Promise<Figure[]>

const STORES = ['postgres', 'eventstore']
const NAMES = [...CASES.keys(), ...STORES.flatMap((store) => [...storeCases(store).keys()])]

async function main(): Promise<void> {
  const options = parse()
  if (options === undefined) return
  if (options.help) {
    console.log(HELP + NAMES.join(', '))
    return
  }
  const bench = new Bench(options)
  process.once('exit', () => bench.clear())
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
  console.error(environment(bench.dir))
  const outcomes: Outcome[] = []
  for (const name of options.only.filter((each) => CASES.has(each))) {
    outcomes.push(...(await measure(name, bench, options.runs, CASES.get(name) as Case)))
  }
  for (const store of STORES) outcomes.push(...(await measureStore(store, bench, options)))
  console.log(options.json ? renderJson(outcomes) : renderTable(outcomes))
  if (options.once) console.error('One tiny iteration each: the figures mean nothing.')
  if (options.keep) console.error(`The files are in ${bench.dir}.`)
  if (outcomes.some((outcome) => 'failed' in outcome)) process.exitCode = 1
}

/** Undefined, with a word about it, for a command line that is not understood. */
function parse(): Options | undefined {
  try {
    return readOptions(process.argv.slice(2), NAMES)
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\nSee --help.`)
    process.exitCode = 2
    return undefined
  }
}

/** Those that are wanted of a store with a server, or a word about why it cannot be measured here. */
async function measureStore(store: string, bench: Bench, { only, runs, dir }: Options): Promise<Outcome[]> {
  const names = only.filter((name) => storeOf(name) === store)
  if (names.length === 0) return []
  const { find } = await import('./stores/places.js')
  const found = await find(store, { disk: dir, files: bench.dir })
  if ('missing' in found) {
    console.error(`${store}: left out: ${found.missing}`)
    return []
  }
  console.error(found.about)
  const outcomes: Outcome[] = []
  for (const [name, run] of storeCases(store)) {
    const measured = async (each: Bench): Promise<Figure[]> =>
      (await run(each, found)).map((figure) => ({ ...figure, name: `${store}/${figure.name}` }))
    if (names.includes(name)) outcomes.push(...(await measure(name, bench, runs, measured)))
  }
  await found.close()
  return outcomes
}

async function measure(name: string, bench: Bench, runs: number, run: Case): Promise<Outcome[]> {
  const began = performance.now()
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
