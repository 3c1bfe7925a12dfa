/** Comma-separated values (RFC 4180), for spreadsheets. */

export type CsvCell = string | number | boolean | null | undefined

export function csv(heading: readonly string[], rows: readonly (readonly CsvCell[])[]): string {
  return [heading, ...rows].map((row) => row.map(field).join(',')).join('\r\n')
}

/** A text that a spreadsheet would take for a formula is given as a text. */
const FORMULA = /^[=+\-@\t\r]/

function field(value: CsvCell): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'string') return String(value)
  const text = FORMULA.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
