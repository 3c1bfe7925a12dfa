/** Workers of several runtimes that ask for jobs at the same moment. */
import { describe, expect, it } from 'vitest'
import { defineJob } from '../../runtime/work/run/definition.js'
import { memory, rejection, sqlite, World } from './support.js'

const note = defineJob<number, void>({ type: 'note' })

describe.each([memory, sqlite])('leases asked for without waiting, on $name', (backend) => {
  it('are answered also to those whose job a rival was faster to take', async () => {
    await using world = await World.create(backend)
    const ledgers = [await world.open(), await world.open(), await world.open()]
    const workers = await Promise.all(ledgers.map((ledger) => ledger.workers.register()))
    await ledgers[0]?.enqueue(note, 1, { id: 'first' })
    await ledgers[0]?.enqueue(note, 2, { id: 'second' })
    await world.clock.settle()
    const asked = ledgers.map((ledger, index) => ledger.lease({ workerId: workers[index] as string, timeout: 0 }))
    const told = await world.pass(Promise.all(asked.map((lease) => lease.catch((error: unknown) => error))))
    const ids = told.map((answer) => (answer as { id?: string; code?: string }).id ?? (answer as { code: string }).code)
    expect(ids.sort()).toEqual(['LEASE_TIMEOUT', 'first', 'second'])
  })

  it('are refused at once where nothing is there', async () => {
    await using world = await World.create(backend)
    const ledger = await world.open()
    const workerId = await ledger.workers.register()
    expect(await rejection(ledger.lease({ workerId, timeout: 0 }))).toMatchObject({ code: 'LEASE_TIMEOUT' })
  })
})
