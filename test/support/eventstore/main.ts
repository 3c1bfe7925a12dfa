/**
 * The fake as a process of its own, for tests that kill it or those who use it: says its URL on stdout, and does what each line
 * of stdin says: `kill`, `restart`, `cut`, `hold`, `let-go`, or a fault as JSON like `{"delay":50}`. Ends with its stdin.
 */
import { createInterface } from 'node:readline'
import type { Faults } from './faults.js'
import { FakeEventStore } from './server.js'

const fake = await FakeEventStore.start({ port: Number(process.argv[2] ?? 0) })
process.stdout.write(`${fake.url()}\n`)

const VERBS: Readonly<Record<string, () => Promise<void> | void>> = {
  kill: () => fake.kill(),
  restart: () => fake.restart(),
  cut: () => fake.wire.cut(),
  hold: () => fake.wire.hold(),
  'let-go': () => fake.wire.letGo(),
}

for await (const line of createInterface({ input: process.stdin })) {
  const verb = VERBS[line]
  if (verb !== undefined) await verb()
  else Object.assign(fake.faults, JSON.parse(line) as Partial<Faults>)
  process.stdout.write(`${line}\n`)
}
await fake.stop()
process.exit()
