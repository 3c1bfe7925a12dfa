import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { CommitWatch } from '../../adapters/sqlite/watch.js'
import { temporaryFolder } from './temporary-folder.js'

/** So long that only the file system can have told. */
const NEVER = 1_000_000_000

it.each([
  ['before', 1],
  ['with the first look at', 2],
  ['long after', 6],
])('a commit that can be seen only %s its write is noticed without the poll', async (_when, looks) => {
  const folder = await temporaryFolder()
  const walPath = join(folder.path, 'jobs.db-wal')
  await writeFile(walPath, '')
  let looked = 0
  let noticed = (): void => {}
  const notice = new Promise<void>((resolve) => {
    noticed = resolve
  })
  // The writer is done with its fsync by that look; the first one of all is how things stand when watching begins.
  const version = (): number => {
    looked += 1
    return looked > looks ? 1 : 0
  }
  const watch = new CommitWatch({ walPath, version, onForeignCommit: () => noticed(), pollMs: NEVER })
  watch.start()
  await writeFile(walPath, 'a frame')
  await notice
  expect(looked).toBeGreaterThan(looks)
  watch.stop()
  await folder.remove()
})
