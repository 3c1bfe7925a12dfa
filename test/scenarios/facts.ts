/** What the reference systems' own tests pin down, each told in a sentence of ours. */
import { FACTS_000 } from './facts-000.js'
import { FACTS_001_TO_004 } from './facts-001-to-004.js'

export const FACTS: Readonly<Record<string, string>> = { ...FACTS_000, ...FACTS_001_TO_004 }
