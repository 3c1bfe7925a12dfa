/** How times are spread: percentiles by nearest rank, made in SQL that every store understands. */
import type { QueryRow } from '../ports/read-models.js'
import type { Lane } from './report-options.js'

/** In ms; without `count` there is nothing to say. */
export interface Spread {
  readonly count: number
  readonly mean?: number
  readonly p50?: number
  readonly p90?: number
  readonly p95?: number
  readonly p99?: number
  readonly max?: number
}

const RANKS = [50, 90, 95, 99] as const

/** One row for each name that `by` has, or one for all. `where` is about `attempts`. */
export function spreadSql(column: string, by: Lane | undefined, where: string): string {
  const name = by ?? "''"
  const partition = by === undefined ? '' : `PARTITION BY ${by} `
  const known = `${where === '' ? 'WHERE' : `${where} AND`} ${column} IS NOT NULL`
  const percentiles = RANKS.map((rank) => `min(CASE WHEN n * 100 >= ${rank} * c THEN v END) AS p${rank}`)
  return `
    WITH ranked AS (
      SELECT ${name} AS name, ${column} AS v, row_number() OVER (${partition}ORDER BY ${column}) AS n,
        count(*) OVER (${partition.trim()}) AS c
      FROM attempts ${known}
    )
    SELECT name, count(*) AS count, CAST(sum(v) AS BIGINT) AS sum, max(v) AS max, ${percentiles.join(', ')}
    FROM ranked GROUP BY name`
}

export function spreadOf(row: QueryRow | undefined): Spread {
  if (row === undefined) return { count: 0 }
  const { count, sum, max, p50, p90, p95, p99 } = row as Record<string, number>
  return { count, mean: (sum as number) / (count as number), p50, p90, p95, p99, max } as Spread
}
