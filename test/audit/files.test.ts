/** Files that left a ledger, checked without it: by our own check, and by the one in Python that was written from the document. */
import { spawnSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { checkBundleFile } from '../../adapters/audit-tools.js'
import { nodeDigest } from '../../adapters/node/digest.js'
import { openLedger } from '../../adapters/open-ledger.js'
import { openSqliteStore } from '../../adapters/sqlite/event-store.js'
import type { BundleLine } from '../../domain/audit/bundle.js'
import { endLine, eventLine, leafLine, manifestLine, readLine } from '../../domain/audit/bundle.js'
import { toBase64 } from '../../domain/audit/encoding.js'
import { isLeaf, LeafHasher } from '../../domain/audit/leaf.js'
import { parseCheckpoint, parseNote } from '../../domain/audit/note.js'
import type { EventTexts } from '../../domain/event.js'
import { Prover } from '../../runtime/audit/prover.js'
import { temporaryFolder } from '../adapters/temporary-folder.js'
import { type Kept, keyOf, OWN, twoCheckpoints } from './world.js'

const VERIFIER = fileURLToPath(new URL('../../docs/jobledger_verify.py', import.meta.url))
const hasPython = spawnSync('python3', ['--version']).status === 0

interface Judgement {
  readonly ok: boolean
  readonly words: string
}
type Judge = (file: string, held: readonly string[], keys?: readonly string[]) => Promise<Judgement>

async function ours(file: string, held: readonly string[], keys?: readonly string[]): Promise<Judgement> {
  const report = await checkBundleFile(file, { held, keys })
  return { ok: report.ok, words: report.findings.map(({ message }) => message).join('\n') }
}

async function python(file: string, held: readonly string[], keys: readonly string[] = []): Promise<Judgement> {
  const notes: string[] = []
  for (const [index, note] of held.entries()) {
    notes.push('--held', `${file}-${index}.note`)
    await writeFile(`${file}-${index}.note`, note)
  }
  const { status, stdout, stderr } = spawnSync(
    'python3',
    [VERIFIER, file, ...notes, ...keys.flatMap((key) => ['--key', key])],
    {
      encoding: 'utf8',
    },
  )
  if (status !== 0 && status !== 5) throw new Error(stderr)
  return { ok: status === 0, words: stdout }
}

let kept: Kept
let folder: string
let proof: string
let whole: string
let part: string
let count = 0

beforeAll(async () => {
  const { path, remove } = await temporaryFolder()
  folder = join(path, 'files')
  await mkdir(folder)
  kept = await twoCheckpoints(path)
  const ledger = await openLedger({ url: `sqlite:${kept.path}` })
  await ledger.expunge('b')
  proof = await ledger.audit.prove({ job: 'a' }, { since: kept.notes[0] as string })
  await ledger.close()
  whole = await sliceOf(0)
  part = await sliceOf(5, 9)
  return remove
})

/** Leaves from one on, as an export has them; one of them as if its event had been removed. */
async function sliceOf(from: number, to?: number): Promise<string> {
  const store = await openSqliteStore(kept.path)
  const leaves: EventTexts[] = []
  for await (const page of store.readTexts()) leaves.push(...page.filter(isLeaf))
  const prover = await Prover.open(store, nodeDigest.hash)
  const slice = leaves.slice(from, to)
  const outside = await prover.outside({ from, to: Math.min(from + slice.length, prover.latest.size) })
  await store.close()
  const hasher = new LeafHasher(nodeDigest.hash)
  const lines = slice.map((event, index) =>
    index === 2 && from > 0 ? leafLine(from + index, hasher.hash(event)) : eventLine(event),
  )
  const events = from > 0 ? slice.length - 1 : slice.length
  const counted = from > 0 ? slice.filter((_, index) => index !== 2) : slice
  const text =
    manifestLine({
      ...{ format: 'jobledger/1', kind: 'export', logId: store.logId, events },
      streams: new Set(counted.map(({ stream }) => stream)).size,
      ...{ from: slice[0]?.position ?? '', to: slice.at(-1)?.position ?? '', checkpoint: prover.latest.note },
      slice: { index: from, outside: outside.map(toBase64) },
    }) + lines.join('')
  return text + endLine(events, nodeDigest.sha256(text))
}

/** The end says again what the bytes before it are: whoever changes a file can do that, too. */
function sealed(text: string): string {
  const lines = text.trimEnd().split('\n')
  const last = JSON.parse(lines.pop() as string) as { events: number }
  const before = `${lines.join('\n')}\n`
  return before + endLine(last.events, nodeDigest.sha256(before))
}

async function fileOf(content: string | Buffer): Promise<string> {
  count += 1
  const file = join(folder, `${count}`)
  await writeFile(file, content)
  return file
}

const without = (text: string, line: number): string => text.split('\n').toSpliced(line, 1).join('\n')

describe.each([
  ['our own check', ours],
  ['the verifier in Python', python],
] as const)('%s', (name, judge: Judge) => {
  const check = (title: string, play: () => Promise<void>): void =>
    test(title, async (context) => {
      context.skip(name !== 'our own check' && !hasPython, 'skipped: there is no python3 on this machine')
      await play()
    })

  check('believes a proof, relative to a checkpoint held', async () => {
    expect((await judge(await fileOf(proof), kept.notes, [OWN.key])).ok).toBe(true)
  })

  check('believes it also compressed', async () => {
    expect((await judge(await fileOf(gzipSync(proof)), kept.notes)).ok).toBe(true)
  })

  check('believes a whole log, and a part of it', async () => {
    expect(await judge(await fileOf(whole), kept.notes)).toMatchObject({ ok: true })
    expect(await judge(await fileOf(part), [kept.notes[1] as string])).toMatchObject({ ok: true })
  })

  for (const [title, change] of [
    ['a byte of a payload', (text: string) => text.replace('a@example.com', 'o@example.com')],
    ['a timestamp', (text: string) => text.replace(/"at":(\d+)/, (_, at) => `"at":${Number(at) + 1}`)],
    ['an outcome', (text: string) => text.replace('succeeded', 'failed')],
    ['a body that was left out', (text: string) => text.replace(/,"salt":"[^"]+","text":"(\\"|[^"])*"/, '')],
  ] as const) {
    check(`finds ${title}, in a proof and in an export`, async () => {
      for (const text of [proof, whole]) {
        const changed = sealed(change(text))
        expect(changed).not.toBe(text)
        const { ok, words } = await judge(await fileOf(changed), kept.notes)
        expect(ok).toBe(false)
        expect(words).toMatch(
          text === proof
            ? /at revision \d of job-a:? is not leaf \d+ of the checkpoint/
            : /are not those of the checkpoint/,
        )
      }
    })
  }

  check('finds an event that was dropped, two that were swapped, a tail that was cut off', async () => {
    const swapped = proof.split('\n')
    ;[swapped[1], swapped[2]] = [swapped[2] as string, swapped[1] as string]
    for (const text of [without(proof, 2), swapped.join('\n'), without(proof, 3), without(whole, 4)]) {
      expect(await judge(await fileOf(sealed(text)), kept.notes)).toMatchObject({ ok: false })
    }
    const cut = await judge(await fileOf(proof.slice(0, -200)), kept.notes).catch(() => ({ ok: false }))
    expect(cut.ok).toBe(false)
  })

  check('finds a file that is not as it was written', async () => {
    const { ok, words } = await judge(await fileOf(proof.replace('"filter":{"job":"a"}', '"filter":{"job":"e"}')), [])
    expect({ ok, words }).toEqual({ ok: false, words: expect.stringMatching(/not as it was written/) })
  })

  check('finds a checkpoint of another key, and one held that the file does not follow from', async () => {
    const other = await judge(await fileOf(proof), [], [keyOf('example.com/jobs', 2).key])
    expect(other).toEqual({ ok: false, words: expect.stringMatching(/not signed with any of the keys given/) })
    const held = (kept.notes[0] as string).replace(/\n\d+\n/, '\n3\n')
    expect((await judge(await fileOf(proof), [held])).ok).toBe(false)
    expect((await judge(await fileOf(whole), [held])).ok).toBe(false)
  })

  check('finds an event of a proof that is not proven', async () => {
    const text = sealed(proof.replace(/,"index":\d+,"path":\[[^\]]*\]/, ''))
    expect(await judge(await fileOf(text), [])).toEqual({ ok: false, words: expect.stringMatching(/not proven/) })
  })
})

/** With another manifest, or other lines: what somebody can write who has no key but an honest checkpoint. */
function forged(text: string, change: (manifest: Record<string, unknown>, lines: string[]) => void): string {
  const [first = '', ...lines] = text.trimEnd().split('\n')
  const manifest = JSON.parse(first) as Record<string, unknown>
  lines.pop()
  change(manifest, lines)
  const events = lines.filter((line) => line.includes('"stream"')).length
  const streams = new Set(lines.flatMap((line) => (JSON.parse(line) as { stream?: string }).stream ?? [])).size
  const before = [JSON.stringify({ ...manifest, events, streams }), ...lines, ''].join('\n')
  return before + endLine(events, nodeDigest.sha256(before))
}

const invented = (more: object = {}): string =>
  JSON.stringify({ stream: 'job-z', revision: 0, position: '', id: 'z', type: 'Queued', at: 1, data: '{}', ...more })

/** Of an event of job a, the second or the last, nothing but the leaf. */
function hide(lines: string[], which: 'second' | 'last'): void {
  const ofA = lines.flatMap((line, at) => (line.includes('"stream":"job-a"') ? [at] : []))
  const at = (which === 'second' ? ofA[1] : ofA.at(-1)) as number
  const [hidden, ...before] = [lines[at] as string, ...lines.slice(0, at)].map(readLine)
  const index = before.filter((line) => line.kind === 'leaf' || (line.kind === 'event' && isLeaf(line.event))).length
  const { event } = hidden as Extract<BundleLine, { kind: 'event' }>
  lines[at] = leafLine(index, new LeafHasher(nodeDigest.hash).hash(event)).trimEnd()
}

describe.each([
  ['our own check', ours],
  ['the verifier in Python', python],
] as const)('%s believes no file that was made up around an honest checkpoint', (name, judge: Judge) => {
  const slice = (index: unknown, outside: readonly string[] = []) => ({ slice: { index, outside } })
  const root = (): string => toBase64(parseCheckpoint(parseNote(kept.notes[1])).root)
  const size = (): number => parseCheckpoint(parseNote(kept.notes[1])).size
  const onFirst = (lines: string[], change: (event: Record<string, unknown>) => object): void => {
    lines[0] = JSON.stringify(change(JSON.parse(lines[0] as string) as Record<string, unknown>))
  }
  test.each<[string, () => string]>([
    [
      'with events before the first leaf',
      () =>
        forged(whole, (manifest, lines) => {
          Object.assign(manifest, slice(-1))
          lines.unshift(invented())
        }),
    ],
    [
      'with a slice behind the end of the tree',
      () =>
        forged(whole, (manifest, lines) => {
          Object.assign(manifest, slice(size(), [root()]))
          lines.splice(0, lines.length, invented())
        }),
    ],
    ['with half a leaf', () => forged(whole, (manifest) => void Object.assign(manifest, slice(0.5)))],
    ['with no events', () => forged(proof, (_, lines) => void lines.splice(0))],
    [
      'with a line that is in no tree',
      () => forged(proof, (_, lines) => void lines.push(invented({ stream: 'job-a', revision: 3, type: 'NameTaken' }))),
    ],
    [
      'with one of several events hidden as if its job had been removed',
      () => forged(whole, (_, lines) => hide(lines, 'second')),
    ],
    [
      'with the end of a stream hidden as if its job had been removed',
      () => forged(whole, (_, lines) => hide(lines, 'last')),
    ],
    ['of another job', () => forged(proof, (manifest) => void Object.assign(manifest, { filter: { job: 'b' } }))],
    [
      'of another event',
      () =>
        forged(proof, (manifest) => {
          Object.assign(manifest, { filter: { event: { stream: 'job-a', revision: 7 } } })
        }),
    ],
    [
      'of another ledger',
      () => forged(proof, (manifest) => void Object.assign(manifest, { origin: 'another.example' })),
    ],
    [
      'with a body without salt',
      () => forged(proof, (_, lines) => onFirst(lines, ({ salt: _salt, ...event }) => event)),
    ],
    [
      'with a body beside the hash of one',
      () => forged(proof, (_, lines) => onFirst(lines, (event) => ({ ...event, hash: '00' }))),
    ],
    [
      'whose salt has part of the text',
      () =>
        forged(proof, (_, lines) =>
          onFirst(lines, ({ salt, text, ...event }) => ({
            ...event,
            salt: Buffer.concat([
              Buffer.from(salt as string, 'base64'),
              Buffer.from((text as string).slice(0, 1)),
            ]).toString('base64'),
            text: (text as string).slice(1),
          })),
        ),
    ],
    [
      'with a time in words',
      () => forged(proof, (_, lines) => onFirst(lines, ({ at, ...event }) => ({ ...event, at: `${at}` }))),
    ],
  ])('%s', async (_title, make) => {
    if (name !== 'our own check' && !hasPython) return
    const judgement = await judge(await fileOf(make()), [kept.notes[1] as string]).catch((error: Error) => {
      // What cannot be read is not believed either.
      expect(['BUNDLE_UNREADABLE', 'NOTE_UNREADABLE']).toContain((error as Error & { code?: string }).code)
      return { ok: false }
    })
    expect(judgement.ok).toBe(false)
  })

  test('but what was not touched', async () => {
    if (name !== 'our own check' && !hasPython) return
    for (const text of [proof, whole]) {
      expect(await judge(await fileOf(forged(text, () => {})), kept.notes)).toMatchObject({ ok: true })
    }
  })
})

test('the verifier in Python has at most 250 lines, and says the root that we say', async (context) => {
  context.skip(!hasPython, 'skipped: there is no python3 on this machine')
  const { words } = await python(await fileOf(proof), [])
  const { root } = parseCheckpoint(parseNote(kept.notes[1]))
  expect(words).toContain(Buffer.from(root).toString('hex'))
  expect((await readFile(VERIFIER, 'utf8')).split('\n').length - 1).toBeLessThanOrEqual(250)
})

test('a file that is not there is told to whoever asks, and to nobody else', async () => {
  await expect(checkBundleFile(join(import.meta.dirname, 'nowhere.proof'), { held: [] })).rejects.toThrow('ENOENT')
})
