/** A certificate for 127.0.0.1 that is its own authority, made by openssl. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface TestCertificate {
  /** The file of it, for clients. */
  readonly path: string
  readonly key: Buffer
  readonly certificate: Buffer
}

/** Why there can be none, or undefined. */
export function missingOpenssl(): string | undefined {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'needs openssl on the PATH'
  }
}

export function makeCertificate(folder: string): TestCertificate {
  const [path, keyPath] = [join(folder, 'server.crt'), join(folder, 'server.key')]
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyPath]
  execFileSync('openssl', ['req', '-x509', ...key, '-out', path, '-days', '2', ...name], { stdio: 'ignore' })
  return { path, key: readFileSync(keyPath), certificate: readFileSync(path) }
}
