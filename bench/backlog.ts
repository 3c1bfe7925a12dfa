/** The same jobs are drained off a short and off a long backlog: a job's cost must not grow with what waits behind it. */
import type { Bench } from './bench.js'
import { drain } from './drain.js'
import type { Figure } from './figure.js'
import { figure, quantile } from './figure.js'
import { prepare } from './workload.js'

const ROUNDS = 3

export async function backlogCase(bench: Bench): Promise<Figure[]> {
  const few = bench.size(10_000, 500)
  const many = bench.size(500_000, 1_000)
  const path = bench.file('backlog-long')
  await bench.run(prepare, { path, jobs: many })
  const short: number[] = []
  const long: number[] = []
  // In turns, so that both meet the same machine. Each takes as many jobs, so that both are as warm.
  for (let round = 0; round < bench.size(ROUNDS, 1); round += 1) {
    short.push(await drainShort(bench, few))
    long.push((await bench.run(drain, { path, jobs: many, count: few })).jobsPerSecond)
  }
  return [
    figure({
      name: 'backlog',
      rate: quantile(long, 0.5),
      unit: 'jobs/s',
      floor: quantile(short, 0.5),
      target: { ratio: 0.85 },
      extra: { pending: many, against: few },
    }),
  ]
}

async function drainShort(bench: Bench, jobs: number): Promise<number> {
  const path = bench.file('backlog-short')
  await bench.run(prepare, { path, jobs })
  return (await bench.run(drain, { path, jobs, count: jobs })).jobsPerSecond
}
