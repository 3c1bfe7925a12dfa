/**
 * A thread of a child process that goes on while its handler is in a loop: it ends the process when the parent is gone, and
 * when it uses more memory than it may.
 */
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'

/** Stdio of the child whose other end the parent keeps open for as long as it lives. */
const LIFELINE = 4
/** For a child that can still hear to end by itself (ms). */
const GRACE = 1_000
/** Between two looks at the memory (ms). */
const LOOK = 100

const MIB = 2 ** 20

/** With all that it has started: a child leads a process group of its own, where there are such things. */
function die(): void {
  try {
    process.kill(-process.pid, 'SIGKILL')
  } catch {
    process.kill(process.pid, 'SIGKILL')
  }
}

new Socket({ fd: LIFELINE, readable: true, writable: false })
  .on('error', () => {})
  .on('close', () => setTimeout(die, GRACE))
  .resume()

const limitMiB = Number(process.argv[2])
if (limitMiB > 0) {
  setInterval(() => {
    const used = Math.round(process.memoryUsage.rss() / MIB)
    if (used <= limitMiB) return
    writeSync(2, `jobledger: the process uses ${used} MiB of memory, where it may use ${limitMiB}\n`)
    die()
  }, LOOK)
}
