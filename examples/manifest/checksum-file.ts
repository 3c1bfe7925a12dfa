/** The file that `sha256sum -c` reads. */
import { open, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' }

/** One line, as GNU sha256sum writes it: a backslash in front says that the name is escaped. */
export function checksumLine(sha256: string, path: string): string {
  // A bare dash would be read as standard input.
  const name = path === '-' ? './-' : path
  const escaped = name.replace(/[\\\n\r]/g, (character) => ESCAPES[character] as string)
  return `${escaped === name ? '' : '\\'}${sha256}  ${escaped}\n`
}

/** Where the new file grows until it is whole. */
export const unfinished = (path: string): string => `${path}.tmp`

/** All or nothing, and on disk when it resolves: a reader finds the old file or the new one, after a power cut too. */
export async function replaceFile(path: string, texts: AsyncIterable<string>, signal: AbortSignal): Promise<void> {
  const file = await open(unfinished(path), 'w')
  try {
    await writeFile(file, texts)
    await file.sync()
  } finally {
    await file.close()
  }
  signal.throwIfAborted()
  await rename(unfinished(path), path)
  await syncFolder(dirname(path))
}

/** The new name is part of the folder. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
