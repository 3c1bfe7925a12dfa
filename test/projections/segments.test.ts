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
