/** Waiting for a job, with an end to it: a limit, Ctrl-C, or a polite kill. */
import { formatMs } from '../../domain/duration.js'
import { CliError } from './exit-codes.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
export type StopSignal = (typeof SIGNALS)[number]

/** Calls back with every such signal instead of dying of it. Gives back the way to stop listening. */
export function onStopSignal(listener: (signal: StopSignal) => void): () => void {
  for (const signal of SIGNALS) process.on(signal, listener)
  return () => {
    for (const signal of SIGNALS) process.off(signal, listener)
  }
}

/** `wait` is given a signal that aborts with WAIT_TIMEOUT after `limitMs`, or with the name of what stopped us. */
export async function waitFor<Result>(
  jobId: string,
  limitMs: number | undefined,
  wait: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController()
  const stop = (code: 'WAIT_TIMEOUT' | StopSignal, message: string): void =>
    controller.abort(new CliError(code, message, { jobId }))
  const late = (): void => stop('WAIT_TIMEOUT', `Job ${jobId} has not ended after ${formatMs(limitMs ?? 0)}.`)
  const timer = limitMs === undefined ? undefined : setTimeout(late, limitMs)
  const deafen = onStopSignal((signal) => stop(signal, `${signal}: no longer waiting for job ${jobId}.`))
  try {
    return await wait(controller.signal)
  } finally {
    clearTimeout(timer)
    deafen()
  }
}

/** `work` is given a signal that aborts with the name of what stopped us: it ends where it can. */
export async function untilStopped<Result>(
  what: string,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController()
  const deafen = onStopSignal((signal) => controller.abort(new CliError(signal, `${signal}: ${what}.`)))
  try {
    return await work(controller.signal)
  } finally {
    deafen()
  }
}
