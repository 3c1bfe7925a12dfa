/** A log that is signed, archived and signed again is one tree. */
import { expect, it } from 'vitest'
import { newKey } from '../../adapters/audit-tools.js'
import { archiveWorld, close, KINDS, LATER, longAgo } from './archive-world.js'

it.each(KINDS)('archiving and expunging leave what was signed provable (%s)', async (kind) => {
  await using world = await archiveWorld(kind)
  await longAgo(world)
  const key = newKey('example.com/test')
  const clock = world.clock(LATER)
  const ledger = await world.open(clock, { scheduler: false, audit: { key: key.secret, every: false } })
  const first = await ledger.audit.checkpoint()
  await ledger.archive.run({ before: 0 })
  const second = await ledger.audit.checkpoint()
  await ledger.expunge('a')
  // Archived: what is covered of it is proven all the same.
  expect(JSON.parse((await ledger.audit.prove({ job: 'b' })).split('\n')[0] ?? '')).toMatchObject({ events: 4 })
  const third = await ledger.audit.checkpoint()
  const held = [first.note, second.note, third.note]
  const verified = async () => {
    const { ok, findings } = await ledger.audit.verify({ held, keys: [key.key] })
    expect({ ok, findings }).toEqual({ ok: true, findings: [] })
  }
  await verified()
  if (world.tidied()) await verified()
  await close(ledger, clock)
})
