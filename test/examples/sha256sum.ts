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

/** What sha256sum itself writes about all files below a folder, sorted by the bytes of their paths. */
export function manifestOf(folder: string): string {
  const script = "find . -type f -printf '%P\\0' | sort -z | xargs -0 sha256sum --"
  return execFileSync('sh', ['-c', script], { cwd: folder, encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } })
}
