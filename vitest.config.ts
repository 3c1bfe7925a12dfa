import { configDefaults, type ViteUserConfig } from 'vitest/config'
import { CountReporter } from './test/support/count-reporter.js'

const config: ViteUserConfig = {
  test: {
    include: ['test/**/*.test.ts'],
    // Packing and installing takes too long for every run: `npm run test:package`.
    exclude: [...configDefaults.exclude, 'test/package/**'],
    setupFiles: ['test/support/seed.ts'],
    pool: 'forks',
    // Much of a run is waiting for other processes and for real time: three forks keep two processors busy.
    maxWorkers: 3,
    // The files of a fork share what they import: nearly half of the CPU time of a file of its own goes into imports.
    isolate: false,
    // A guard against tests that hang, not a claim about speed: on a busy machine real processes take their time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', new CountReporter()],
  },
}

export default config
