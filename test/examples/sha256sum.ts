/** The real sha256sum, which has the last word. */
import { execFileSync, spawnSync } from 'node:child_process'

export interface Verdict {
  readonly code: number | null
  readonly output: string
}

/** Complaints only; an empty output and code 0 mean that every line was read and every file was as it says. */
export function check(folder: string, manifest: string): Verdict {
  const { status, stdout, stderr } = spawnSync('sha256sum', ['--check', '--strict', '--quiet', manifest], {
    cwd: folder,
    encoding: 'utf8',
  })
  return { code: status, output: stdout + stderr }
}

/** What sha256sum itself writes about the files below a folder that have names in UTF-8, sorted by the bytes of the path. */
export function manifestOf(folder: string): string {
  const list = "find . -type f -printf '%P\\0' | grep -zavx '.*[^[:print:][:space:]].*' | LC_ALL=C sort -z"
  const script = `${list} | xargs -0 sha256sum --`
  return execFileSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8', env: { ...process.env, LC_ALL: 'C.UTF-8' } })
}
