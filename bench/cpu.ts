import { setTimeout as sleep } from 'node:timers/promises'

/** How much of one core this process takes in the time to come: user and system, 0 to 1 (more with threads). */
export async function cpuShareOver(ms: number): Promise<number> {
  const began = performance.now()
  const before = process.cpuUsage()
  await sleep(ms)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000 / (performance.now() - began)
}
