/** Which scenario shows what. Fails where something of the catalogue is shown by none. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { RESOLUTIONS, ROWS } from './catalogue.js'
import { FACTS } from './facts.js'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const SCENARIO = /scenario\(\s*\[([^\]]+)\],\s*(?:'([^'\n]+)'|`([^`\n]+)`|"([^"\n]+)")/g

/** What is covered -> titles. */
function readMap(): Map<string, string[]> {
  const map = new Map<string, string[]>()
  for (const file of readdirSync(HERE).filter((name) => name.endsWith('.test.ts'))) {
    for (const [, covers = '', ...titles] of readFileSync(HERE + file, 'utf8').matchAll(SCENARIO)) {
      const title = titles.find((text) => text !== undefined) as string
      for (const cover of covers.split(',').map((text) => text.trim().replaceAll(/['"]/g, ''))) {
        if (cover !== '') map.set(cover, [...(map.get(cover) ?? []), `${file}: ${title}`])
      }
    }
  }
  return map
}

const map = readMap()
const catalogue: Readonly<Record<string, string>> = { ...ROWS, ...RESOLUTIONS, ...FACTS }

test('every row, resolution and fact is shown by a scenario', () => {
  const gaps = Object.entries(catalogue).filter(([key]) => !map.has(key))
  expect(gaps.map(([key, text]) => `${key}: ${text}`)).toEqual([])
})

test('no scenario claims to show what is not in the catalogue', () => {
  const unknown = [...map.keys()].filter((key) => !Object.hasOwn(catalogue, key))
  expect(unknown).toEqual([])
})
