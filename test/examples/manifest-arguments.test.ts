import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { HELP } from '../../examples/manifest/arguments.js'
import { runProgram, temporaryFolder } from './manifest-program.js'

const GUARD = 90_000

describe('the command line', { timeout: GUARD }, () => {
  test('explains itself', async () => {
    expect(await runProgram(['--help'], { cwd: temporaryFolder() })).toEqual({ code: 0, stdout: HELP, stderr: '' })
  })

  test.each([
    { args: ['no/such/folder'], says: 'No such folder: no/such/folder' },
    { args: ['file'], says: 'Not a folder: file' },
    { args: ['.', '.'], says: 'One folder at a time' },
    { args: ['--oops'], says: "Unknown option '--oops'" },
    { args: ['--out'], says: "'--out <value>' argument missing" },
    { args: ['--out', '.'], says: '--out must name a file' },
    { args: ['--ledger', 'no/such/ledger.db'], says: 'No such folder: ' },
  ])('refuses $args', async ({ args, says }) => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'file'), '')
    const { code, stdout, stderr } = await runProgram(args, { cwd })
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(says) })
    expect(existsSync(join(cwd, 'jobledger.db'))).toBe(false)
  })

  test('says so when the ledger is no ledger', async () => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'notes.txt'), 'not a database, but long enough to be taken for one'.repeat(40))
    const { code, stderr } = await runProgram(['--ledger', 'notes.txt'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain('notes.txt')
    expect(stderr).not.toContain('    at ')
  })
})
