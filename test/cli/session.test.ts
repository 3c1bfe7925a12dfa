import { expect, it } from 'vitest'
import { shown } from '../../adapters/cli/session.js'

it.each([
  ['sqlite:./a@b?c.db', 'sqlite:./a@b?c.db'],
  ['postgres://ann:s3cret@db:5432/shop?schema=jobs', 'postgres://db:5432/shop?schema=jobs'],
  ['postgres://ann:s3:c@r/et@db/shop', 'postgres://db/shop'],
  ['postgres://db/shop?user=ann&password=s3cret&schema=jobs', 'postgres://db/shop?user=ann&password=...&schema=jobs'],
  ['esdb+discover://u:s3cret@cluster?prefix=orders', 'esdb+discover://cluster?prefix=orders'],
])('of the ledger %j people and logs are told %j', (url, told) => {
  expect(shown(url)).toBe(told)
})
