/** One deed on several jobs, workers or triggers, each by itself: a refusal is its own and does not keep the others back. */
import { codeOf, EXIT, exitCodeOf, messageOf } from './exit-codes.js'
import type { Output } from './output.js'

export interface Refusal {
  readonly code: string | undefined
  readonly message: string
}

/** A job, worker or trigger, and what came of the deed. */
export type Treated<Outcome extends object> = { readonly id: string; readonly error?: Refusal } & Outcome

/** `undone`: what is said of a job that was refused. `hints`: what its user may do about a refusal, by its code. */
export async function each<Outcome extends object>(
  ids: readonly string[],
  undone: Outcome,
  act: (id: string) => Promise<Outcome>,
  hints: Readonly<Record<string, string>> = {},
): Promise<Treated<Outcome>[]> {
  const treated: Treated<Outcome>[] = []
  for (const id of ids) {
    try {
      treated.push({ id, ...(await act(id)) })
    } catch (error) {
      treated.push({ id, ...undone, error: refusalOf(error, hints) })
    }
  }
  return treated
}

/** The exit code is that of the first refusal. A ledger that does not work is everybody's, and thrown on. */
export function refusalOf(error: unknown, hints: Readonly<Record<string, string>> = {}): Refusal {
  const exitCode = exitCodeOf(error)
  if (exitCode !== EXIT.notFound && exitCode !== EXIT.conflict) throw error
  process.exitCode ??= exitCode
  const code = codeOf(error)
  const hint = hints[code ?? '']
  return { code, message: hint === undefined ? messageOf(error) : `${messageOf(error)} ${hint}` }
}

/** `what` they are, in the document of --json. */
export function report<Outcome extends object>(
  output: Output,
  jobs: readonly Treated<Outcome>[],
  told: (job: Treated<Outcome>) => string,
  what: 'jobs' | 'workers' | 'triggers' = 'jobs',
): void {
  output.data({ [what]: jobs }, () => '')
  for (const job of jobs) {
    if (job.error === undefined) output.talk(told(job))
    else output.complain(job.error.message)
  }
}
