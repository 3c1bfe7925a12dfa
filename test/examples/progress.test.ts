import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Progress } from '../../examples/manifest/progress.js'
import { Tally } from '../../examples/manifest/tally.js'
import type { RecordedEvent } from '../../index.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const finished = {
  type: 'Finished',
  stream: 'job-digest:1',
  data: { outcome: 'succeeded' },
} as unknown as RecordedEvent

function watch(isTTY: boolean): { progress: Progress; written: string[]; finish(jobs: number): void } {
  const written: string[] = []
  const stream = { isTTY, write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream
  const tally = new Tally()
  const progress = new Progress(tally, stream)
  const finish = (jobs: number): void => {
    for (let job = 0; job < jobs; job += 1) {
      tally.follow(finished)
      progress.update()
    }
  }
  return { progress, written, finish }
}

describe('on a terminal', () => {
  test('a bar is drawn over and over in one line, and is gone at the end', () => {
    const { progress, written, finish } = watch(true)
    progress.expect(1_000)
    progress.expectNoMore()
    finish(500)
    expect(written).toEqual([])
    vi.advanceTimersByTime(100)
    expect(written.splice(0)).toEqual([expect.stringMatching(/^\r█{15}░{15} 500 of 1,000 jobs, [\d,]+ jobs\/s.\[K$/)])
    progress.say('a line')
    progress.stop()
    expect(written).toEqual(['\r\x1b[Ka line\n', '\r\x1b[K'])
  })
})

describe('elsewhere', () => {
  test('a line every few seconds, and one at each tenth once all jobs are known', () => {
    const { progress, written, finish } = watch(false)
    progress.expect(100)
    finish(50)
    expect(written).toEqual([])
    vi.advanceTimersByTime(5_000)
    expect(written.splice(0)).toEqual([expect.stringMatching(/^50 %: 50 of 100 jobs, 10 jobs\/s\n$/)])
    progress.expectNoMore()
    finish(50)
    expect(written.map((line) => line.split(':')[0])).toEqual(['60 %', '70 %', '80 %', '90 %', '100 %'])
    progress.stop()
  })

  test('nothing while there is nothing to do', () => {
    const { progress, written } = watch(false)
    vi.advanceTimersByTime(60_000)
    progress.stop()
    expect(written).toEqual([])
  })
})
