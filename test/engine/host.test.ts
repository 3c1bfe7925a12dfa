import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { nodeHost } from '../../adapters/node/host.js'
import type { ProcessIdentity } from '../../domain/worker/events.js'

const here = nodeHost.identity()

function startTimeOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

describe('a process', () => {
  it('is not gone while it is this one', () => {
    expect(here.pid).toBe(process.pid)
    expect(nodeHost.isGone(here)).toBe(false)
    expect(nodeHost.isGone({ ...here })).toBe(false)
  })

  it('is gone once it was killed, even before anybody has collected it', async (context) => {
    if (here.startTime === '') context.skip('only Linux tells when a process was started')
    // The shell becomes a sleeper that never collects its child.
    const script = 'sleep 1000 & echo $!; exec sleep 1000'
    const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    const orphan: ProcessIdentity = { ...here, pid, startTime: startTimeOf(pid) }
    const sleeper: ProcessIdentity = {
      ...here,
      pid: parent.pid as number,
      startTime: startTimeOf(parent.pid as number),
    }
    expect([orphan, sleeper].map((each) => nodeHost.isGone(each))).toEqual([false, false])
    process.kill(pid, 'SIGKILL')
    while (!nodeHost.isGone(orphan)) await new Promise((resolve) => setImmediate(resolve))
    expect(nodeHost.isGone(sleeper)).toBe(false)
    process.kill(sleeper.pid, 'SIGKILL')
    await once(parent, 'close')
    expect(nodeHost.isGone(sleeper)).toBe(true)
  })

  it('is gone when its number was given to another one', (context) => {
    if (here.startTime === '') context.skip('only Linux tells when a process was started')
    expect(nodeHost.isGone({ ...here, startTime: `${Number(here.startTime) - 1}` })).toBe(true)
  })

  it.each([
    ['of an earlier boot of the machine', { bootId: 'another' }],
    ['in another pid namespace, as of a container', { pidNamespace: 'pid:[1]' }],
    ['of another machine', { host: 'elsewhere', bootId: 'another' }],
    ['of a system that says nothing about itself, on another host', { host: 'x', bootId: '', pidNamespace: '' }],
  ])('%s is never declared dead', (_name, other) => {
    const gone = { ...here, pid: 2 ** 22 + 1, startTime: '1' }
    expect(nodeHost.isGone(gone)).toBe(true)
    expect(nodeHost.isGone({ ...gone, ...other })).toBe(false)
  })
})
