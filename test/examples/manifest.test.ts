import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newTree, put, runProgram, temporaryFolder } from './manifest-program.js'
import { check, manifestOf } from './sha256sum.js'

const GUARD = 90_000

const manyFiles = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`flat/${index}`, `content ${index}`]))

describe('the manifest of a folder', { timeout: GUARD }, () => {
  test('is what sha256sum would write, odd names included', async () => {
    const { cwd, tree, manifest } = newTree({
      plain: 'plain',
      empty: '',
      'with space': '1',
      ' leading space': '2',
      '*star': '3',
      '-dash': '4',
      '--help': '5',
      '#hash': '6',
      "it's": '7',
      'say "hi"': '8',
      'back\\slash': '9',
      'new\nline': '10',
      'carriage\rreturn': '11',
      'tab\t': '12',
      'grün/日本/🙂': '13',
      '\u{10000}': '14',
      '\u{ff5e}': '15',
      'a/b': '16',
      'a-b': '17',
      'a.b': '18',
      'a/b.c/d': '19',
      'deep/er/and/deep/er': '20',
      'back\\folder/new\nfolder/file': '21',
    })
    mkdirSync(join(tree, 'nothing', 'in', 'here'), { recursive: true })
    const { code, stdout } = await runProgram([tree], { cwd })
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('23 digested, 0 unchanged') })
    expect(readFileSync(manifest, 'utf8')).toBe(manifestOf(tree))
    expect(check(tree, manifest)).toEqual({ code: 0, output: '' })
  })

  test('names a file called "-" so that it is not taken for standard input', async () => {
    const { cwd, tree, manifest } = newTree({ '-': 'dash', 'sub/-': 'dash below' })
    await runProgram([tree], { cwd })
    expect(readFileSync(manifest, 'utf8')).toMatch(/^[0-9a-f]{64} {2}\.\/-\n[0-9a-f]{64} {2}sub\/-\n$/)
    expect(check(tree, manifest)).toEqual({ code: 0, output: '' })
  })

  test('lists what it skips, with the reason', async () => {
    const { cwd, tree, manifest } = newTree({ file: '1' })
    symlinkSync('file', join(tree, 'link'))
    symlinkSync('.', join(tree, 'loop'))
    execFileSync('mkfifo', [join(tree, 'fifo')])
    const bytes = Buffer.concat([Buffer.from(`${tree}/caf`), Buffer.from([0xe9])])
    writeFileSync(bytes, 'not UTF-8')
    const { code, stdout, stderr } = await runProgram([tree], { cwd })
    expect(code).toBe(0)
    expect(stderr.split('\n').filter((line) => line.startsWith('skipped'))).toEqual([
      String.raw`skipped: "caf\\xe9": name is not UTF-8`,
      'skipped: "fifo": FIFO',
      'skipped: "link": symbolic link',
      'skipped: "loop": symbolic link',
    ])
    expect(stdout).toContain('0 failed, 4 skipped')
    expect(check(tree, manifest)).toEqual({ code: 0, output: '' })
  })

  test('lists all that it skips only when asked', async () => {
    const { cwd, tree } = newTree({ file: '1' })
    for (let index = 0; index < 25; index += 1) symlinkSync('file', join(tree, `link-${index}`))
    const short = await runProgram([tree], { cwd })
    expect(short.stderr.match(/symbolic link/g)).toHaveLength(10)
    expect(short.stderr).toContain('skipped: 15 more (--list-all shows them)')
    const long = await runProgram([tree, '--list-all'], { cwd })
    expect(long.stderr.match(/symbolic link/g)).toHaveLength(25)
  })

  test('leaves out itself and the files of the ledger, wherever they are', async () => {
    const tree = temporaryFolder()
    put(tree, { file: '1', 'sub/file': '2' })
    const args = ['.', '--out', 'sub/sums', '--ledger', 'sub/jobs.db']
    for (const round of [1, 2]) {
      expect({ round, ...(await runProgram(args, { cwd: tree })) }).toMatchObject({ code: 0 })
      expect(readFileSync(join(tree, 'sub/sums'), 'utf8').trimEnd().split('\n')).toHaveLength(2)
      expect(check(tree, 'sub/sums')).toEqual({ code: 0, output: '' })
    }
  })

  test('of an empty folder is an empty file', async () => {
    const { cwd, tree, manifest } = newTree({})
    expect(await runProgram([tree], { cwd })).toMatchObject({ code: 0 })
    expect(readFileSync(manifest, 'utf8')).toBe('')
  })

  test('ends with a summary and the history of a job', async () => {
    const { cwd, tree } = newTree({ file: '1' })
    const { stdout } = await runProgram([tree], { cwd })
    expect(stdout).toMatch(/files +1 \(1 bytes\): 1 digested, 0 unchanged/)
    expect(stdout).toMatch(/jobs +3 in [\d.]+ s: [\d,]+ jobs\/s/)
    expect(stdout).toMatch(/attempts +3: 0 failed/)
    for (const type of ['Queued', 'Leased', 'Finished']) expect(stdout).toContain(type)
  })
})

describe('run again', { timeout: GUARD }, () => {
  test('it digests only what has changed, and drops what has vanished', async () => {
    const { cwd, tree, manifest } = newTree({ same: '1', 'sub/same': '2', 'sub/size': '3', 'sub/time': '4', gone: '5' })
    put(tree, { 'other/gone': '6', 'other/same': '7' })
    expect(await runProgram([tree], { cwd })).toMatchObject({
      stdout: expect.stringContaining('7 digested, 0 unchanged'),
    })

    put(tree, { 'sub/size': 'longer', 'sub/new': '8' })
    utimesSync(join(tree, 'sub/time'), 1, 1)
    for (const path of ['gone', 'other/gone']) rmSync(join(tree, path))
    const again = await runProgram([tree], { cwd })
    expect(again.stdout).toContain('3 digested, 3 unchanged')
    expect(readFileSync(manifest, 'utf8')).toBe(manifestOf(tree))
  })

  test('of an unchanged folder it writes the manifest anew from the ledger alone', async () => {
    const { cwd, tree, manifest } = newTree({ ...manyFiles(1_200), other: '1' })
    await runProgram([tree], { cwd })
    const before = readFileSync(manifest, 'utf8')
    rmSync(manifest)
    const again = await runProgram([tree], { cwd })
    expect(again.stdout).toMatch(/0 digested, 1,201 unchanged\n.*\njobs +1 in/)
    expect(readFileSync(manifest, 'utf8')).toBe(before)
    expect(check(tree, manifest)).toEqual({ code: 0, output: '' })
  })

  test('it takes back a file that had vanished, and one that had moved away', async () => {
    const { cwd, tree, manifest } = newTree({ kept: '1', 'from/file': '2' })
    await runProgram([tree], { cwd })
    renameSync(join(tree, 'from/file'), join(tree, 'moved'))
    expect(await runProgram([tree], { cwd })).toMatchObject({
      stdout: expect.stringContaining('1 digested, 1 unchanged'),
    })
    renameSync(join(tree, 'moved'), join(tree, 'from/file'))
    expect(await runProgram([tree], { cwd })).toMatchObject({
      stdout: expect.stringContaining('0 digested, 2 unchanged'),
    })
    expect(readFileSync(manifest, 'utf8')).toBe(manifestOf(tree))
  })

  test('after an interrupt it goes on', async () => {
    const { cwd, tree, manifest } = newTree(manyFiles(2_000))
    let told = false
    const onTalk = (talk: string, kill: (signal: NodeJS.Signals) => void): void => {
      if (told || !talk.includes(' %: ')) return
      told = true
      kill('SIGINT')
    }
    const first = await runProgram([tree], { cwd, onTalk })
    expect(first).toMatchObject({ code: 130, stderr: expect.stringContaining('run the same command again') })
    expect(existsSync(manifest)).toBe(false)
    const second = await runProgram([tree], { cwd })
    expect(second.code).toBe(0)
    const [, digested] = /([\d,]+) digested/.exec(second.stdout) ?? []
    expect(Number(digested?.replace(',', ''))).toBeLessThan(2_000)
    expect(readFileSync(manifest, 'utf8')).toBe(manifestOf(tree))
  })
})
