import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import type { ProcessIdentity } from '../../domain/worker/events.js'
import type { Host } from '../../runtime/ports/host.js'

/**
 * Linux tells boots, pid namespaces and start times apart through /proc. Elsewhere these are empty and the process number
 * alone has to do: a number used again then hides a dead worker until its leases expire.
 */
export const nodeHost: Host = { arch: process.arch, identity, isGone }

let own: ProcessIdentity | undefined

function identity(): ProcessIdentity {
  own ??= {
    host: hostname(),
    bootId: read('/proc/sys/kernel/random/boot_id').trim(),
    pidNamespace: namespace(),
    pid: process.pid,
    startTime: startTimeIn(read(`/proc/${process.pid}/stat`)) ?? '',
  }
  return own
}

function isGone(other: ProcessIdentity): boolean {
  const here = identity()
  const comparable =
    other.bootId === here.bootId &&
    other.pidNamespace === here.pidNamespace &&
    (here.bootId !== '' || other.host === here.host)
  if (!comparable) return false
  if (here.startTime === '') return !isAlive(other.pid)
  // Asked once a second for every worker there is.
  const stat = read(`/proc/${other.pid}/stat`)
  // Another user's process may be hidden from us in /proc: then its number has to do.
  return stat === '' ? !isAlive(other.pid) : startTimeIn(stat) !== other.startTime
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

/** Field 22 of /proc/<pid>/stat; the command name before it may hold spaces and parentheses. A zombie is gone. */
function startTimeIn(stat: string): string | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
