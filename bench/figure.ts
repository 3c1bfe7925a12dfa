/** What a case reports. */

/** Least (or, where less is better, greatest) acceptable values by name: `rate`, `ratio` or one of the extras. */
export type Bounds = Readonly<Record<string, number>>

export interface Figure {
  readonly name: string
  readonly rate: number
  readonly unit: string
  /** The same work without the engine, in the same run and unit; null where there is no such thing. */
  readonly floor: number | null
  /** rate / floor. */
  readonly ratio: number | null
  readonly better: 'more' | 'less'
  readonly target: Bounds
  readonly goal: Bounds
  /** Other things measured on the way. */
  readonly extra: Readonly<Record<string, number | string>>
}

export interface Measured {
  readonly name: string
  readonly rate: number
  readonly unit: string
  readonly floor?: number
  readonly better?: 'more' | 'less'
  readonly target?: Bounds
  readonly goal?: Bounds
  readonly extra?: Readonly<Record<string, number | string>>
}

export function figure({
  name,
  rate,
  unit,
  floor,
  better = 'more',
  target = {},
  goal = {},
  extra = {},
}: Measured): Figure {
  const ratio = floor === undefined ? null : rate / floor
  return { name, rate, unit, floor: floor ?? null, ratio, better, target, goal, extra }
}

export type Verdict = 'goal' | 'yes' | 'NO' | '-'

/** How a figure stands to what was asked of it. */
export function judge(figure: Figure): Verdict {
  if (Object.keys(figure.target).length === 0 && Object.keys(figure.goal).length === 0) return '-'
  if (!meets(figure, figure.target)) return 'NO'
  return Object.keys(figure.goal).length > 0 && meets(figure, figure.goal) ? 'goal' : 'yes'
}

function meets({ rate, ratio, extra, better }: Figure, bounds: Bounds): boolean {
  const values: Readonly<Record<string, number | string | null>> = { ...extra, rate, ratio }
  return Object.entries(bounds).every(([name, bound]) => {
    const value = Number(values[name] ?? Number.NaN)
    return better === 'more' ? value >= bound : value <= bound
  })
}

/** Of several runs of one case the figures in the middle, each with what was measured in the same run. */
export function medians(runs: readonly (readonly Figure[])[]): Figure[] {
  const [first = []] = runs
  return first.map((figure, index) => {
    const same = runs.map((run) => run[index] ?? figure).sort((a, b) => a.rate - b.rate)
    return same[Math.floor((same.length - 1) / 2)] ?? figure
  })
}

/** The value below which a share `q` of the values lies. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}
