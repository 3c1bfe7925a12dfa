/** Reports as lines of cells: each as a text for people, and as a value for programs. */
import { formatMs } from '../../domain/duration.js'
import type {
  CauseRetries,
  Flow,
  Kpis,
  PendingJob,
  Punctuality,
  Throughput,
  Times,
  TypeFailures,
  WorkerUse,
} from '../../runtime/report/answers.js'
import type { Spread } from '../../runtime/report/spread.js'
import type { CsvCell } from './csv.js'
import { age, iso, printable } from './output.js'

interface Cell {
  readonly text: string
  readonly value: CsvCell
}
/** By heading, in order; all lines of a report have the same. */
export type Line = Readonly<Record<string, Cell>>

const NONE: Cell = { text: '-', value: undefined }
const count = (value: number): Cell => ({ text: String(value), value })
const name = (value: string | undefined): Cell =>
  value === undefined ? NONE : { text: printable(value) || '""', value }
const span = (ms: number | undefined): Cell => (ms === undefined ? NONE : { text: formatMs(ms), value: Math.round(ms) })
const instant = (at: number | undefined): Cell => (at === undefined ? NONE : { text: iso(at), value: at })
const share = (of: number | undefined): Cell =>
  of === undefined ? NONE : { text: `${(100 * of).toFixed(1)} %`, value: of }

const flow = (flow: Flow): Line => ({
  queued: count(flow.queued),
  started: count(flow.started),
  succeeded: count(flow.succeeded),
  failed: count(flow.failed),
  cancelled: count(flow.cancelled),
  retried: count(flow.retried),
  lost: count(flow.lost),
  mean_wait: span(flow.meanWaitMs),
  mean_run: span(flow.meanRunMs),
})

/** The total is the last line. */
export const ofThroughput = ({ steps, total }: Throughput): readonly Line[] => [
  ...steps.map((step) => ({ from: instant(step.from), ...flow(step) })),
  { from: { text: 'all', value: 'all' }, ...flow(total) },
]

const spread = (prefix: string, { count: of, ...times }: Spread): Line => ({
  [`${prefix}_count`]: count(of),
  [`${prefix}_mean`]: span(times.mean),
  [`${prefix}_p50`]: span(times.p50),
  [`${prefix}_p90`]: span(times.p90),
  [`${prefix}_p95`]: span(times.p95),
  [`${prefix}_p99`]: span(times.p99),
  [`${prefix}_max`]: span(times.max),
})

export const ofTimes = ({ lines }: Times): readonly Line[] =>
  lines.map((line) => ({ name: name(line.name), ...spread('wait', line.wait), ...spread('run', line.run) }))

export const ofFailures = (types: readonly TypeFailures[]): readonly Line[] =>
  types.map(({ type, succeeded, failed, cancelled, rate }) => ({
    type: name(type),
    succeeded: count(succeeded),
    failed: count(failed),
    cancelled: count(cancelled),
    failure_rate: share(rate),
  }))

export const ofRetries = (causes: readonly CauseRetries[]): readonly Line[] =>
  causes.map(({ cause, error, runs, retried }) => ({
    cause: name(cause),
    error: name(error),
    runs: count(runs),
    retried: count(retried),
  }))

export const ofOldest = (jobs: readonly PendingJob[]): readonly Line[] =>
  jobs.map(({ id, state, type, queue, channel, queuedAt, ageMs, runAt }) => ({
    id: name(id),
    state: name(state),
    type: name(type),
    queue: name(queue),
    channel: name(channel),
    queued: instant(queuedAt),
    age: span(ageMs),
    runs_at: runAt === undefined ? NONE : { text: age(runAt), value: runAt },
  }))

export const ofWorkers = (workers: readonly WorkerUse[]): readonly Line[] =>
  workers.map(({ id, state, host, pid, slots, runs, busyMs, presentMs, utilisation }) => ({
    id: name(id),
    state: name(state),
    host: name(host),
    pid: pid === undefined ? NONE : count(pid),
    slots: count(slots),
    runs: count(runs),
    busy: span(busyMs),
    present: span(presentMs),
    utilisation: share(utilisation),
  }))

export const ofTriggers = (triggers: readonly Punctuality[]): readonly Line[] =>
  triggers.map(({ id, kind, type, state, fired, missed, lastLateMs, meanLateMs, maxLateMs, nextAt }) => ({
    id: name(id),
    kind: name(kind),
    type: name(type),
    state: name(state),
    fired: count(fired),
    missed: count(missed),
    last_late: span(lastLateMs),
    mean_late: span(meanLateMs),
    max_late: span(maxLateMs),
    next: instant(nextAt),
  }))

const kpi = (what: string, value: Cell): Line => ({ kpi: name(what), value })

export const ofKpis = (kpis: Kpis): readonly Line[] => [
  kpi('pending', count(kpis.pending)),
  ...Object.entries(kpis.pendingByType).map(([type, jobs]) => kpi(`pending of ${type}`, count(jobs))),
  kpi('running', count(kpis.running)),
  kpi('failed and live', count(kpis.failing)),
  kpi('failed for good', count(kpis.failed)),
  kpi('processed', count(kpis.processed)),
  kpi('mean run', span(kpis.meanRunMs)),
  kpi('available workers', count(kpis.availableWorkers)),
]
