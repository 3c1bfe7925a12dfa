/** Figures for people and for programs. */
import type { Bounds, Figure } from './figure.js'
import { judge } from './figure.js'

/** A case whose outcome was wrong, or that did not end. */
export interface Failure {
  readonly name: string
  readonly failed: string
}

export type Outcome = Figure | Failure

const HEADINGS = ['name', 'rate', 'unit', 'floor', 'ratio', 'target', 'goal', 'ok?', 'extra']
/** Names, units and remarks read from the left, numbers from the right. */
const LEFT = new Set(['name', 'unit', 'target', 'goal', 'ok?', 'extra'])

export function renderJson(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map((outcome) => {
    if ('failed' in outcome) return outcome
    const { extra, ...rest } = outcome
    return { ...rest, ok: judge(outcome), ...extra }
  })
  return JSON.stringify(rows, rounded, 2)
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value
}

export function renderTable(outcomes: readonly Outcome[]): string {
  const rows = [
    HEADINGS,
    ...outcomes.map((outcome) => ('failed' in outcome ? failureRow(outcome) : figureRow(outcome))),
  ]
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) => line(row, widths)).join('\n')
}

function line(row: readonly string[], widths: readonly number[]): string {
  const cells = row.map((cell, column) => {
    const width = widths[column] ?? 0
    return LEFT.has(HEADINGS[column] ?? '') ? cell.padEnd(width) : cell.padStart(width)
  })
  return cells.join('  ').trimEnd()
}

function figureRow(figure: Figure): string[] {
  const { name, rate, unit, floor, ratio, better, target, goal, extra } = figure
  const remarks = Object.entries(extra).map(
    ([key, value]) => `${key} ${typeof value === 'number' ? number(value) : value}`,
  )
  const limits = (bounds: Bounds): string => limitsOf(bounds, better)
  return [
    name,
    number(rate),
    unit,
    floor === null ? '' : number(floor),
    ratio === null ? '' : ratio.toFixed(2),
    limits(target),
    limits(goal),
    judge(figure),
    remarks.join(', '),
  ]
}

function failureRow({ name, failed }: Failure): string[] {
  return [name, '', '', '', '', '', '', 'FAILED', failed.split('\n')[0] ?? '']
}

function limitsOf(bounds: Bounds, better: Figure['better']): string {
  const sign = better === 'more' ? '>=' : '<='
  return Object.entries(bounds)
    .map(([name, bound]) => (name === 'rate' ? `${sign} ${number(bound)}` : `${name} ${sign} ${number(bound)}`))
    .join(', ')
}

function number(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
}
