/**
 * The example is killed in the middle of its work, again and again, and started again each time. Afterwards every digest
 * must be right, and the log alone must show that no job was lost, run by two at once or finished twice.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { HistoryEntry, JobSummary, Ledger } from '../../index.js'
import { openLedger } from '../../index.js'
import { runProgram, temporaryFolder } from '../examples/manifest-program.js'
import { check, manifestOf } from '../examples/sha256sum.js'
import type { Draw } from './fleet/draws.js'
import { draws } from './fleet/draws.js'

const GUARD = 180_000
const KILLS = 4
const FOLDERS = 30
const FILES = 80

function plant(tree: string, draw: Draw): void {
  for (let folder = 0; folder < FOLDERS; folder += 1) {
    const path = join(tree, `${folder % 6}`, `${folder}`)
    mkdirSync(path, { recursive: true })
    for (let file = 0; file < FILES; file += 1) {
      writeFileSync(join(path, `${file}`), `${draw()}`.repeat(1 + Math.floor(draw() * 2_000)))
    }
  }
}

/**
 * Starts the program and kills it once it has talked of its progress so often: every tenth of the work, so that all the
 * kills together stay clear of the end. False: it was faster.
 */
async function killAfter(lines: number, tree: string, cwd: string): Promise<boolean> {
  const { code } = await runProgram([tree], {
    cwd,
    onTalk: (talk, kill) => {
      if (talk.split(' %: ').length > lines) kill('SIGKILL')
    },
  })
  return code === null
}

interface Life {
  readonly job: JobSummary
  readonly events: readonly HistoryEntry[]
}

async function allLives(ledger: Ledger): Promise<Life[]> {
  const lives: Life[] = []
  let cursor: string | undefined
  do {
    const page = await ledger.list({ limit: 1_000, ...(cursor !== undefined && { cursor }) })
    for (const job of page.jobs) lives.push({ job, events: await ledger.history(job.id) })
    cursor = page.cursor
  } while (cursor !== undefined)
  return lives
}

const faultsOf = (life: Life): string[] =>
  [...leaseFaults(life), ...endFaults(life)].map((fault) => `${life.job.id}: ${fault}`)

/** A lease within a lease, or an outcome that is not that of the lease. */
function leaseFaults({ events }: Life): string[] {
  const faults: string[] = []
  let held: string | undefined
  for (const { type, data, revision } of events) {
    if (!['Leased', 'Failed', 'Released', 'Finished'].includes(type)) continue
    // An end names no lease: it is that of the one that is held.
    const { token = held } = data as { token?: string }
    const fits = type === 'Leased' ? held === undefined : held !== undefined && token === held
    if (!fits) faults.push(`${type} at revision ${revision} does not fit the lease before it`)
    held = type === 'Leased' ? token : undefined
  }
  return faults
}

/** Each round has one end. Only the last job may have gone round again, because the kill came when all was done. */
function endFaults({ job, events }: Life): string[] {
  const again = events.filter(({ data }) => (data as { by?: string }).by === 'operator').length
  const ends = events.filter(({ type }) => type === 'Finished').length
  const fine = job.state === 'succeeded' && ends === again + 1 && (again === 0 || job.type === 'write')
  return fine ? [] : [`${job.state} after ${ends} ends and ${again} retries`]
}

const DIED = 'lease-lost'

/** From the first that a new process recorded to the first job that it finished (ms). */
function pickUpTimes(lives: readonly Life[], kills: readonly number[]): number[] {
  const events = lives.flatMap((life) => life.events).sort((a, b) => a.at - b.at)
  return kills.map((killedAt) => {
    const after = events.filter(({ at }) => at >= killedAt)
    const first = after.find(({ type, data }) => type === 'Leased' || (data as { cause?: string }).cause === DIED)
    const finished = after.find(({ type }) => type === 'Finished')
    return (finished?.at ?? Number.POSITIVE_INFINITY) - (first?.at ?? 0)
  })
}

test.each([1, 2])(
  'killed and started again, it loses nothing and does nothing twice (seed %i)',
  { timeout: GUARD },
  async (seed) => {
    const draw = draws(seed)
    const cwd = temporaryFolder()
    const tree = join(cwd, 'tree')
    plant(tree, draw)
    const kills: number[] = []
    while (kills.length < KILLS) {
      expect(await killAfter(1 + Math.floor(draw() * 2), tree, cwd), 'killed before the end').toBe(true)
      kills.push(Date.now())
    }
    expect(await runProgram([tree], { cwd })).toMatchObject({ code: 0 })

    const manifest = join(cwd, 'manifest.sha256')
    expect(check(tree, manifest)).toEqual({ code: 0, output: '' })
    expect(readFileSync(manifest, 'utf8')).toBe(manifestOf(tree))

    await using ledger = await openLedger({ url: `sqlite:${join(cwd, 'jobledger.db')}` })
    const lives = await allLives(ledger)
    expect(lives.filter(({ job }) => job.type === 'digest')).toHaveLength(FOLDERS * FILES)
    expect(lives.flatMap(faultsOf)).toEqual([])
    expect(lives.some(({ events }) => events.some(({ data }) => (data as { cause?: string }).cause === DIED))).toBe(
      true,
    )
    for (const ms of pickUpTimes(lives, kills)) expect(ms).toBeLessThan(1_000)
  },
)
