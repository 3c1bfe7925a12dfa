import { configDefaults, type ViteUserConfig } from 'vitest/config'
import { CountReporter } from './test/support/count-reporter.js'

const config: ViteUserConfig = {
  test: {
    include: ['test/**/*.test.ts'],
    // Packing and installing takes too long for every run: `npm run test:package`.
    exclude: [...configDefaults.exclude, 'test/package/**'],
    pool: 'forks',
    reporters: ['default', new CountReporter()],
  },
}

export default config
