/** Whatever is wrong is named, with what was expected and what came. */
import { expect } from 'vitest'
import type { InvalidOption } from '../../domain/errors.js'
import type { Row } from './bad-input-tables.js'

/** What a call rejects with or throws; undefined if it does neither. */
export async function thrownBy(call: () => unknown): Promise<unknown> {
  try {
    await call()
    return undefined
  } catch (error) {
    return error
  }
}

/** Every row is refused as it says. */
export async function refuses(prefix: string, rows: readonly Row[], call: (given: never) => unknown): Promise<void> {
  for (const [suffix, given, expected, received] of rows) {
    const option = prefix + suffix
    const error = (await thrownBy(() => call(given as never))) as InvalidOption
    const fault = { name: 'InvalidOption', code: 'INVALID_OPTION', family: 'option' }
    expect(error, `${option}: ${received}`).toMatchObject({ ...fault, option, received })
    expect(error.expected, `${option}: ${received}`).toMatch(expected)
    expect(error.message).toBe(`Expected \`${option}\` to be ${error.expected}, got ${received}.`)
  }
}
