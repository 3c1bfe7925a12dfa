import { fileURLToPath } from 'node:url'
import type { ViteUserConfig } from 'vitest/config'
import { CountReporter } from '../support/count-reporter.js'

/** Apart from the other tests: packing, installing and compiling take a minute, and the registry may be asked. */
const config: ViteUserConfig = {
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/package/**/*.test.ts'],
    pool: 'forks',
    reporters: ['default', new CountReporter()],
    testTimeout: 180_000,
    hookTimeout: 300_000,
  },
}

export default config
