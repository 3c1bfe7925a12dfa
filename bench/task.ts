/** Work that is measured in a fresh process of its own, so that no heap or compiled code leaks from one case to the next. */
import { fork } from 'node:child_process'
import { once } from 'node:events'

/** What may cross from process to process. */
export type Message = { readonly [key: string]: unknown }

export interface Task<Args extends Message, Result extends Message> {
  readonly name: string
  readonly work: (args: Args) => Promise<Result>
}

/** Argument that makes the program run one task instead of the whole benchmark. */
const TASK = '--task'

type Answer<Result> = { readonly result: Result } | { readonly error: string }

/** Runs a task in a process of its own. Rejects with what it threw, and when it takes longer than `limitMs`. */
export async function runTask<Args extends Message, Result extends Message>(
  { name }: Task<Args, Result>,
  args: Args,
  limitMs: number,
): Promise<Result> {
  // What a task prints is talk; standard output belongs to the figures.
  const child = fork(process.argv[1] as string, [TASK, name, JSON.stringify(args)], {
    stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
  })
  const limit = setTimeout(() => child.kill('SIGKILL'), limitMs)
  let answer: Answer<Result> | undefined
  child.on('message', (message) => {
    answer = message as Answer<Result>
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  clearTimeout(limit)
  if (answer === undefined) throw new Error(`${name}: ended with ${code ?? signal} before it answered`)
  if ('error' in answer) throw new Error(`${name}: ${answer.error}`)
  return answer.result
}

/** In such a process: does its task, answers and ends. False: this is not one. */
export async function serveTask(tasks: readonly Task<never, Message>[]): Promise<boolean> {
  const [flag, name, args = '{}'] = process.argv.slice(2)
  if (flag !== TASK || process.send === undefined) return false
  const answer = await attempt(tasks.find((task) => task.name === name) as Task<never, Message>, args)
  process.send(answer, () => process.exit(0))
  return true
}

async function attempt(task: Task<never, Message>, args: string): Promise<Answer<Message>> {
  try {
    return { result: await task.work(JSON.parse(args) as never) }
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

/** A wrong outcome makes every figure worthless: the case fails. */
export function verify(holds: boolean, complaint: string): void {
  if (!holds) throw new Error(`not correct: ${complaint}`)
}
