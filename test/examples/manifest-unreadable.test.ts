import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newTree, runProgram } from './manifest-program.js'
import { manifestOf } from './sha256sum.js'

const GUARD = 90_000

describe('what cannot be read', { timeout: GUARD }, () => {
  /** Root reads what it likes, unless these capabilities are taken away. */
  const asOrdinary = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : []
  const canBeOrdinary = asOrdinary.length === 0 || spawnSync('setpriv', [...asOrdinary.slice(1), 'true']).status === 0

  test('fails after its attempts, is listed, and is tried again by the next run', async (context) => {
    context.skip(!canBeOrdinary, 'root can read everything and setpriv cannot take that away here')
    const { cwd, tree, manifest } = newTree({ open: '1', 'sub/locked': '2', 'closed/file': '3' })
    const locked = [join(tree, 'sub/locked'), join(tree, 'closed')]
    execFileSync('chmod', ['000', ...locked])
    for (const round of [1, 2]) {
      const { code, stdout, stderr } = await runProgram([tree], { cwd, under: asOrdinary })
      expect({ round, code }).toEqual({ round, code: 1 })
      expect(stdout).toContain('2 failed, 0 skipped')
      expect(stderr).toMatch(/failed: "sub\/locked": EACCES.*3 runs/)
      expect(stderr).toMatch(/failed: "closed": EACCES.*3 runs/)
      expect(readFileSync(manifest, 'utf8')).toMatch(/^[0-9a-f]{64} {2}open\n$/)
    }
    execFileSync('chmod', ['700', ...locked])
    const { code, stdout } = await runProgram([tree], { cwd })
    expect(code).toBe(0)
    expect(stdout).toContain('2 digested, 1 unchanged')
    expect(readFileSync(manifest, 'utf8')).toBe(manifestOf(tree))
  })
})
