import { expect, test } from 'vitest'
import type { SegmentSealed } from '../../domain/audit/events.js'
import type { RecordedEvent } from '../../domain/event.js'
import { Segments } from '../../projections/segments.js'

const event = (revision: number, type: string, data: object): RecordedEvent => ({
  ...{ stream: 'audit', revision, position: String(revision), id: `e${revision}`, type, at: revision, data },
})

const sealed = (name: string, more: Partial<SegmentSealed> = {}): Partial<SegmentSealed> => ({
  ...{ name, logId: 'log', jobs: 1, from: '1', to: '2' },
  ...more,
})

test('segments that were kept and taken up again look as they did, also where several have taken the place of one', () => {
  const segments = new Segments()
  const events = [
    event(0, 'SegmentSealed', sealed('a')),
    event(1, 'JobsRemoved', { segment: 'a', jobs: [{ id: 'j' }] }),
    event(2, 'SegmentSealed', sealed('b', { replaces: 'a' })),
    event(3, 'SegmentSealed', sealed('c', { replaces: 'b' })),
  ]
  for (const each of events) segments.apply(each)
  const again = new Segments()
  again.restore(JSON.parse(JSON.stringify(segments)))
  expect(JSON.stringify(again)).toBe(JSON.stringify(segments))
  expect(again.get('a')?.name).toBe('c')
})

const removed = (revision: number, ids: readonly string[], where: object): RecordedEvent =>
  event(revision, 'JobsRemoved', { ...where, jobs: ids.map((id) => ({ id })) })

test('a job that is taken out of a segment no longer counts as one of those that have left for it', () => {
  const segments = new Segments()
  for (const each of [
    event(0, 'SegmentBegun', { name: 'a' }),
    event(1, 'SegmentSealed', sealed('a', { jobs: 4 })),
    removed(2, ['j', 'k'], { segment: 'a' }),
    removed(3, ['j'], { outOf: 'a' }),
    event(4, 'SegmentSealed', sealed('b', { jobs: 3, replaces: 'a' })),
    removed(5, ['l'], { segment: 'a' }),
  ])
    segments.apply(each)
  expect(segments.get('a')).toMatchObject({ name: 'b', taken: ['k', 'l'] })
  expect([segments.isGone('a'), segments.isGone('b')]).toEqual([true, false])
  segments.apply(removed(6, ['m'], { segment: 'b' }))
  expect(segments.get('b')?.taken).toBeUndefined()
})

test('what was begun is known until it is sealed or dropped, and what is dropped is gone', () => {
  const segments = new Segments()
  const names = ['a', 'b', 'c']
  for (const [index, name] of names.entries()) segments.apply(event(index, 'SegmentBegun', { name }))
  segments.apply(event(3, 'SegmentSealed', sealed('a')))
  segments.apply(event(4, 'SegmentDropped', { name: 'b' }))
  const again = new Segments()
  again.restore(JSON.parse(JSON.stringify(segments)))
  for (const each of [segments, again]) {
    expect([...each.begun]).toEqual([['c', 2]])
    expect(names.map((name) => each.isGone(name))).toEqual([false, true, false])
    each.apply(event(5, 'SegmentDropped', { name: 'a' }))
    expect(each.get('a')).toBeUndefined()
    expect(each.size).toBe(0)
  }
})
