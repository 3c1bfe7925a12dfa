import { InvalidOption } from '../../domain/errors.js'
import { toCount } from '../../runtime/checks.js'
import type { EnqueuedJob, Roll, TypeChoice } from './roll.js'
import { toTypeName } from './roll.js'

/**
 * What was enqueued, ended jobs too. Each question is answered at once, with true or false. With a `message`, a false one is
 * also reported: the message, what was expected and what is there.
 */
export class Assertions {
  readonly #roll: Roll
  readonly #report: (text: string) => void

  constructor(roll: Roll, report: (text: string) => void) {
    this.#roll = roll
    this.#report = report
  }

  /** Was a job of this type enqueued? */
  contains(type: TypeChoice, message?: string): boolean {
    const name = toTypeName(type, 'contains.type')
    return this.#answer(this.#count(name) > 0, `a job of type ${JSON.stringify(name)}`, message)
  }

  notContains(type: TypeChoice, message?: string): boolean {
    const name = toTypeName(type, 'notContains.type')
    return this.#answer(this.#count(name) === 0, `no job of type ${JSON.stringify(name)}`, message)
  }

  /** Was nothing enqueued? */
  empty(message?: string): boolean {
    return this.#answer(this.#roll.size === 0, 'no job', message)
  }

  notEmpty(message?: string): boolean {
    return this.#answer(this.#roll.size > 0, 'at least one job', message)
  }

  /** Were exactly so many jobs enqueued? */
  total(count: number, message?: string): boolean {
    toCount(count, 'total.count', 0)
    return this.#answer(this.#roll.size === count, `${count} job${count === 1 ? '' : 's'}`, message)
  }

  /** In the order in which they were enqueued. */
  jobs(): EnqueuedJob[] {
    return this.#roll.jobs()
  }

  /** The first is at 1. undefined: there are not so many. */
  get(position: number): EnqueuedJob | undefined {
    return at(this.#roll.jobs(), position, 'get.position')
  }

  getFirst(): EnqueuedJob | undefined {
    return this.get(1)
  }

  /** The n-th of its type, from 1. */
  getOf(type: TypeChoice, position: number): EnqueuedJob | undefined {
    return at(this.#roll.of(type, 'getOf.type'), position, 'getOf.position')
  }

  getFirstOf(type: TypeChoice): EnqueuedJob | undefined {
    return this.#roll.of(type, 'getFirstOf.type')[0]
  }

  #count(type: string): number {
    return this.#roll.of(type, 'type').length
  }

  #answer(isSo: boolean, expected: string, message: string | undefined): boolean {
    if (!isSo && message !== undefined) {
      this.#report(`${message}: expected ${expected} to have been enqueued, found ${this.#roll.summary}.`)
    }
    return isSo
  }
}

function at(jobs: readonly EnqueuedJob[], position: unknown, option: string): EnqueuedJob | undefined {
  if (!Number.isInteger(position)) throw new InvalidOption(option, 'a whole number, the first is 1', position)
  return jobs[(position as number) - 1]
}
