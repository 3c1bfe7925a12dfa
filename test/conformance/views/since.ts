import { expect, it } from 'vitest'
import { changes, checkpoint, freshViews, idsOf, position, row, type ViewsFactory } from './harness.js'

export function sinceTests(factory: ViewsFactory): void {
  const under = freshViews(factory)

  it('what is kept ends where the new rows begin: they are added', async () => {
    const { views } = under()
    await views.save(changes(5, [row(1)], ''))
    expect(await views.save(changes(9, [row(9)], position(5)))).toBe(true)
    expect(await views.save(changes(12, [row(12)], position(7)))).toBe(true)
    expect(await idsOf(views)).toEqual(['job-12', 'job-9', 'job-1'])
  })

  it('what is kept ends earlier: nothing is written, and all is asked for', async () => {
    const { views } = under()
    await views.save(changes(5, [row(1)], ''))
    expect(await views.save(changes(9, [row(9)], position(7)))).toBe(false)
    expect(await views.checkpoint()).toEqual(checkpoint(5))
    expect(await idsOf(views)).toEqual(['job-1'])
  })

  it('nothing is kept: only rows from the start are taken', async () => {
    const { views } = under()
    expect(await views.save(changes(9, [row(9)], position(7)))).toBe(false)
    expect(await views.checkpoint()).toBeUndefined()
    expect(await views.save(changes(9, [row(9)], ''))).toBe(true)
  })

  it('what is kept is as far or further: nothing is written, and all is well', async () => {
    const { views } = under()
    await views.save(changes(9, [row(9)], ''))
    for (const upTo of [9, 8]) expect(await views.save(changes(upTo, [row(1)], position(5)))).toBe(true)
    expect(await views.checkpoint()).toEqual(checkpoint(9))
    expect(await idsOf(views)).toEqual(['job-9'])
  })

  it("'all' replaces everything", async () => {
    const { views } = under()
    await views.save(changes(9, [row(1), row(9)], '', { texts: new Map([['old', 'x']]) }))
    expect(await views.save(changes(12, [row(12)], 'all', { texts: new Map([['new', 'y']]) }))).toBe(true)
    expect(await idsOf(views)).toEqual(['job-12'])
    expect(await views.texts()).toEqual(new Map([['new', 'y']]))
  })

  it("'all' replaces also what is further on, if the caller was shown it: the log may be restored from a backup", async () => {
    const { views, openSecond } = under()
    await views.save(changes(9, [row(9)], ''))
    const other = (await openSecond?.()) ?? views
    expect(await other.checkpoint()).toEqual(checkpoint(9))
    expect(await other.save(changes(4, [row(4)], 'all'))).toBe(true)
    expect(await views.checkpoint()).toEqual(checkpoint(4))
    expect(await idsOf(views)).toEqual(['job-4'])
    if (other !== views) await other.close()
  })

  it("'all' does not pull back what somebody else has brought further meanwhile", async () => {
    const { views, openSecond } = under()
    const other = (await openSecond?.()) ?? views
    expect(await other.checkpoint()).toBeUndefined()
    await views.save(changes(9, [row(9)], 'all'))
    expect(await other.save(changes(4, [row(4)], 'all'))).toBe(true)
    expect(await views.checkpoint()).toEqual(checkpoint(9))
    expect(await idsOf(views)).toEqual(['job-9'])
    if (other !== views) await other.close()
  })

  it.each([
    ['another log', { logId: 'log-2' }],
    ['another version of the projection', { version: 2 }],
  ])('rows for %s are not added to what is kept', async (_, other) => {
    const { views } = under()
    await views.save(changes(5, [row(1)], ''))
    for (const upTo of [3, 9]) {
      expect(await views.save(changes(upTo, [row(9)], '', { checkpoint: checkpoint(upTo, other) }))).toBe(false)
    }
    expect(await views.checkpoint()).toEqual(checkpoint(5))
    expect(await views.save(changes(9, [row(9)], 'all', { checkpoint: checkpoint(9, other) }))).toBe(true)
    expect(await views.checkpoint()).toEqual(checkpoint(9, other))
  })
}
