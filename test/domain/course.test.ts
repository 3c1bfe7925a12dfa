import { expect, test } from 'vitest'
import { courseOf } from '../../domain/job/course.js'

const trigger = { id: 'own', occurrence: 5 }

test.each([
  ['none', {}, []],
  ['its own', { trigger }, ['own']],
  ['those before it', { chain: ['a', 'b'] }, ['a', 'b']],
  ['those before it, then its own', { trigger, chain: ['a', 'b'] }, ['a', 'b', 'own']],
  ['each once', { trigger, chain: ['own', 'b'] }, ['own', 'b']],
])('a job is in the course of %s', (_, facts, course) => {
  expect(courseOf(facts)).toEqual(course)
})

test('what holds of nearly every job is one array for all', () => {
  expect(courseOf({})).toBe(courseOf({}))
})
