/** What a job type says about who may enqueue it. Each throws InvalidOption. */

import { InvalidOption } from '../../domain/errors.js'
import { toName } from '../checks.js'

/** One or several; an empty list would let nobody in. */
export function toRoles(value: unknown, option: string): readonly string[] {
  if (!Array.isArray(value)) return [toName(value, option)]
  if (value.length === 0) throw new InvalidOption(option, 'a role, or an array of at least one', value)
  return value.map((role, index) => toName(role, `${option}[${index}]`))
}
