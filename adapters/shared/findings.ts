import type { Finding } from '../../runtime/ports/maintenance.js'
import { bytes } from './bytes.js'

/** From here on somebody should decide what is kept. */
const LARGE_LOG = 1024 ** 3
/** Views are saved when nothing happens, every 30 s, or when 100,000 jobs have changed: more than this is not of that. */
const FAR_BEHIND = 1_000_000

/** Findings about what every store has. */
export function sizeFinding(log: number, views: number): Finding {
  const large = log > LARGE_LOG
  return {
    name: 'log',
    status: large ? 'warning' : 'ok',
    message: `${bytes(log)}, and ${bytes(views)} of views. ${large ? 'It grows with every job: nothing' : 'Nothing'} is removed by default`,
    details: { log, views },
  }
}

/** `behind`: events that the views have not yet taken in; undefined: there are no views. */
export function lagFinding(behind: number | undefined): Finding {
  const name = 'checkpoint'
  if (behind === undefined) {
    return { name, status: 'ok', message: 'there are no views yet: the next opening builds them', details: {} }
  }
  const message =
    behind <= 0
      ? 'the views have all of the log'
      : `the views are ${behind} events behind: whoever opens the ledger reads those`
  return { name, status: behind > FAR_BEHIND ? 'warning' : 'ok', message, details: { behind: Math.max(0, behind) } }
}
