/** replay: what was recorded, once more. */
import type { Command } from 'commander'
import { InvalidOption } from '../../domain/errors.js'
import type { RecordedEvent } from '../../domain/event.js'
import { repeated } from './flags.js'
import { iso, preview, printable } from './output.js'
import { addRange, type RangeFlags, rangeOf } from './past.js'
import { Session } from './session.js'
import { untilStopped } from './wait.js'

interface ReplayFlags extends RangeFlags {
  readonly stream?: string[]
  readonly event?: string[]
  readonly speed?: number
  readonly bodies?: boolean
}

export function addReplay(program: Command): void {
  const command = program
    .command('replay')
    .summary('recorded events once more')
    .description(
      'Prints recorded events in the order of the log, archived ones included: when, where, what. Without --speed as fast as can be; with it they come as far apart as they were recorded, or so many times less.',
    )
  addRange(command)
    .option('--stream <beginning>', 'only streams that begin so: job-, trigger-nightly', repeated(String))
    .option('--event <type>', 'only events of this type: Queued, Failed; may be repeated', repeated(String))
    .option('--speed <factor>', '1: as it was; 10: ten times as fast', factor)
    .option('--bodies', 'payloads, results and errors, too')
    .addHelpText('after', REPLAY_HELP)
    .action(async ({ stream, event, speed, bodies, ...range }: ReplayFlags, command: Command) => {
      const session = new Session(command)
      const { filter, ...bounds } = rangeOf(range)
      await untilStopped('the replay ends here', (signal) =>
        session.read((ledger) => {
          const events = ledger.replay({
            ...{ ...bounds, signal, bodies: bodies ?? false },
            filter: { ...filter, ...(stream && { streams: stream }), ...(event && { types: event }) },
            ...(speed !== undefined && { speed }),
          })
          return session.output.series('events', events, inWords)
        }),
      )
    })
}

const REPLAY_HELP = `
--json is one document, { "events": [...] }, with an event on each line.

Examples:
  $ jobledger replay --job order-17 --bodies
  $ jobledger replay --from 2026-11-27T02:00:00Z --until 2026-11-27T03:00:00Z --speed 60
  $ jobledger replay --event Failed --queue mail --json`

function factor(text: string): number {
  const value = Number(text)
  if (value > 0 && Number.isFinite(value)) return value
  throw new InvalidOption('--speed', 'a number above 0', text)
}

function inWords({ at, position, stream, type, data, body }: RecordedEvent): string {
  const content = body !== undefined && 'content' in body ? body.content : undefined
  const parts = [iso(at), position, printable(stream), printable(type), preview(data, 400)]
  if (body !== undefined) parts.push(content === undefined ? '<erased>' : contentText(content))
  return parts.join('  ')
}

const contentText = (content: string | Uint8Array): string =>
  typeof content === 'string' ? printable(content) : preview(content)
