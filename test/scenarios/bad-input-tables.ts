/** What callers may get wrong: the option at fault, what was given, what was expected, and how what came is shown. */
export type Row = readonly [option: string, given: unknown, expected: RegExp, received: string]

const DURATION = /^a duration/
const TEXT = /^a text of 1 to 200 characters/
const LABEL = /^a text of at most 200 characters/
const FLAG = /^true or false$/
const INSTANT = /^an instant/
const TEXTS = /^a text or an array of texts$/
const long = 'x'.repeat(201)
const shownLong = `"${'x'.repeat(57)}..."`

const BACKOFF: readonly Row[] = [
  ['.backoff', { backoff: 5 }, /^an object/, '5'],
  ['.backoff', { backoff: null }, /^an object/, 'null'],
  ['.backoff', { backoff: [] }, /^an object/, 'an array of 0'],
  ['.backoff.mni', { backoff: { mni: 1 } }, /^one of min, max, /, '"mni"'],
  ['.backoff.min', { backoff: { min: 'soon' } }, DURATION, '"soon"'],
  ['.backoff.min', { backoff: { min: -1 } }, DURATION, '-1'],
  ['.backoff.max', { backoff: { max: Number.POSITIVE_INFINITY } }, DURATION, 'Infinity'],
  ['.backoff.max', { backoff: { min: '2s', max: '1s' } }, /^at least .*2000 ms/, '"1s"'],
  ['.backoff.factor', { backoff: { factor: 0.9 } }, /^a number >= 1$/, '0.9'],
  ['.backoff.factor', { backoff: { factor: '2' } }, /^a number >= 1$/, '"2"'],
  ['.backoff.jitter', { backoff: { jitter: 1.1 } }, /a fraction from 0 to 1$/, '1.1'],
  ['.backoff.jitter', { backoff: { jitter: 'half' } }, /^"full", "min", "none"/, '"half"'],
  ['.backoff.limit', { backoff: { limit: 0 } }, /^an integer >= 1/, '0'],
  ['.backoff.limit', { backoff: { limit: 1.5 } }, /null for none$/, '1.5'],
  ['.backoff.expiration', { backoff: { expiration: 0 } }, /^a duration above 0/, '0'],
  ['.backoff.expiration', { backoff: { expiration: '1y' } }, DURATION, '"1y"'],
]

/** What a job, its type and (but for the priority) its queue may say alike. */
const SETTINGS: readonly Row[] = [
  ['.maxAttempts', { maxAttempts: 0 }, /^an integer >= 1, or null/, '0'],
  ['.maxAttempts', { maxAttempts: 2.5 }, /^an integer >= 1, or null/, '2.5'],
  ['.maxAttempts', { maxAttempts: '3' }, /^an integer >= 1, or null/, '"3"'],
  ['.maxAttempts', { maxAttempts: Number.POSITIVE_INFINITY }, /null for unlimited$/, 'Infinity'],
  ['.timeout', { timeout: 0 }, /^a duration above 0, or null/, '0'],
  ['.timeout', { timeout: 'never' }, DURATION, '"never"'],
  ['.timeout', { timeout: true }, DURATION, 'true'],
  ...BACKOFF,
]

const PRIORITY: readonly Row[] = [
  ['.priority', { priority: 1.5 }, /^an integer \(lower first\)/, '1.5'],
  ['.priority', { priority: '1' }, /critical, high, medium, low$/, '"1"'],
  ['.priority', { priority: 'High' }, /^an integer/, '"High"'],
  ['.priority', { priority: 'toString' }, /^an integer/, '"toString"'],
  ['.priority', { priority: null }, /^an integer/, 'null'],
  ['.priority', { priority: 2 ** 53 }, /^an integer/, '9007199254740992'],
  ['.priority', { priority: 1n }, /^an integer/, '1n'],
]

const RUN_TIME: readonly Row[] = [
  ['.runAt', { runAt: 'tomorrow' }, INSTANT, '"tomorrow"'],
  ['.runAt', { runAt: '2026-01-01' }, INSTANT, '"2026-01-01"'],
  ['.runAt', { runAt: '2026-01-01T00:00:00' }, INSTANT, '"2026-01-01T00:00:00"'],
  ['.runAt', { runAt: '2026-13-01T00:00:00Z' }, INSTANT, '"2026-13-01T00:00:00Z"'],
  ['.runAt', { runAt: '2026-02-30T00:00:00Z' }, INSTANT, '"2026-02-30T00:00:00Z"'],
  ['.runAt', { runAt: new Date(Number.NaN) }, INSTANT, 'an invalid Date'],
  ['.runAt', { runAt: -1 }, INSTANT, '-1'],
  ['.runAt', { runAt: 8.65e15 }, INSTANT, '8650000000000000'],
  ['.runAt', { runAt: null }, INSTANT, 'null'],
  ['.delay', { delay: '5 minutes' }, DURATION, '"5 minutes"'],
  ['.delay', { delay: '' }, DURATION, '""'],
  ['.delay', { delay: '-1s' }, DURATION, '"-1s"'],
  ['.delay', { delay: Number.NaN }, DURATION, 'NaN'],
  ['.delay', { delay: '20000000w' }, /^a duration that ends/, '"20000000w"'],
  ['.delay', { delay: '1s', runAt: 5 }, /^absent when `runAt` is given$/, '"1s"'],
]

const DEPENDENCIES: readonly Row[] = [
  ['.dependsOn', { dependsOn: 'a' }, /^an array of job ids/, '"a"'],
  ['.dependsOn', { dependsOn: new Set(['a']) }, /^an array of job ids/, 'an object of Set'],
  ['.dependsOn[1]', { dependsOn: ['a', null] }, /^a job id or/, 'null'],
  ['.dependsOn[0]', { dependsOn: [5] }, /^a job id or/, '5'],
  ['.dependsOn[0].id', { dependsOn: [''] }, TEXT, '""'],
  ['.dependsOn[0].id', { dependsOn: [{ on: 'finished' }] }, TEXT, 'undefined'],
  ['.dependsOn[0].on', { dependsOn: [{ id: 'a', on: 'failed' }] }, /^"succeeded" or "finished"$/, '"failed"'],
  ['.dependsOn[0].otherwise', { dependsOn: [{ id: 'a', otherwise: 'skip' }] }, /^"block", "cancel" or/, '"skip"'],
  ['.dependsOn[0].oherwise', { dependsOn: [{ id: 'a', oherwise: 'run' }] }, /^one of id, on/, '"oherwise"'],
  ['.dependsOn[1].id', { dependsOn: ['a', { id: 'a' }] }, /^named only once$/, '"a"'],
]

const UNIQUE: readonly Row[] = [
  ['.unique', { unique: true }, /^an object$/, 'true'],
  ['.unique', { unique: 'key' }, /^an object$/, '"key"'],
  ['.unique', { unique: null }, /^an object$/, 'null'],
  ['.unique.kye', { unique: { kye: 'k' } }, /^one of key, scope, /, '"kye"'],
  ['.unique.key', { unique: { key: '' } }, TEXT, '""'],
  ['.unique.key', { unique: { key: 7 } }, TEXT, '7'],
  ['.unique.key', { unique: { key: long } }, TEXT, shownLong],
  ['.unique.scope', { unique: { scope: 'name' } }, /^one of type, queue, channel, ledger$/, '"name"'],
  ['.unique.scope', { unique: { scope: 'toString' } }, /^one of type/, '"toString"'],
  ['.unique.window', { unique: { window: 0 } }, /^a duration above 0$/, '0'],
  ['.unique.window', { unique: { window: null } }, DURATION, 'null'],
  ['.unique.window', { unique: { window: 'a day' } }, DURATION, '"a day"'],
  ['.unique.onDuplicate', { unique: { onDuplicate: 'drop' } }, /^"keep" or "replace"$/, '"drop"'],
]

const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`

const ORIGIN: readonly Row[] = [
  ['.user', { user: '' }, TEXT, '""'],
  ['.user', { user: { name: 'ada' } }, TEXT, 'an object (name)'],
  ['.trace', { trace: traceparent }, /^an object$/, `"${traceparent}"`],
  ['.trace.traceparent', { trace: {} }, /^a W3C traceparent/, 'undefined'],
  ['.trace.traceparent', { trace: { traceparent: '00-1-2-3' } }, /^a W3C traceparent/, '"00-1-2-3"'],
  ['.trace.tracestate', { trace: { traceparent, tracestate: 1 } }, /^a text$/, '1'],
  ['.trace.baggage', { trace: { traceparent, baggage: ['a'] } }, /^a text$/, 'an array of 1'],
  ['.trace.parent', { trace: { parent: traceparent } }, /^one of traceparent/, '"parent"'],
]

const CONCURRENCY: readonly Row[] = [
  ['.concurrencyKey', { concurrencyKey: '' }, TEXT, '""'],
  ['.concurrencyKey', { concurrencyKey: long }, TEXT, shownLong],
  ['.concurrencyKey', { concurrencyKey: () => 'k' }, TEXT, 'function concurrencyKey'],
  ['.concurrencyLimit', { concurrencyKey: 'k', concurrencyLimit: 0 }, /^an integer from 1 to 1000$/, '0'],
  ['.concurrencyLimit', { concurrencyKey: 'k', concurrencyLimit: null }, /^an integer from 1 to 1000$/, 'null'],
  ['.concurrencyLimit', { concurrencyLimit: 2 }, /^absent where there is no `concurrencyKey`$/, '2'],
]

export const ENQUEUE: readonly Row[] = [
  ...CONCURRENCY,
  ['', 5, /^an object$/, '5'],
  ['', null, /^an object$/, 'null'],
  ['', [], /^an object$/, 'an array of 0'],
  ['.prio', { prio: 1 }, /^one of id, queue, /, '"prio"'],
  ['.id', { id: '' }, TEXT, '""'],
  ['.id', { id: 7 }, TEXT, '7'],
  ['.id', { id: null }, TEXT, 'null'],
  ['.id', { id: long }, TEXT, shownLong],
  ['.id', { id: 'half a \udc00 character' }, /Unicode$/, '"half a \\udc00 character"'],
  ['.queue', { queue: 5 }, LABEL, '5'],
  ['.queue', { queue: null }, LABEL, 'null'],
  ['.queue', { queue: long }, LABEL, shownLong],
  ['.channel', { channel: ['a'] }, LABEL, 'an array of 1'],
  ['.channel', { channel: '\ud800' }, LABEL, '"\\ud800"'],
  ['.name', { name: '' }, TEXT, '""'],
  ['.name', { name: long }, TEXT, shownLong],
  ['.name', { name: Symbol('name') }, TEXT, 'Symbol(name)'],
  ['.held', { held: 1 }, FLAG, '1'],
  ['.held', { held: 'yes' }, FLAG, '"yes"'],
  ['.manual', { manual: null }, FLAG, 'null'],
  ['.retain', { retain: 0 }, /^a duration above 0/, '0'],
  ['.retain', { retain: 'for ever' }, DURATION, '"for ever"'],
  ...PRIORITY,
  ...RUN_TIME,
  ...SETTINGS,
  ...DEPENDENCIES,
  ...UNIQUE,
  ...ORIGIN,
]

/** The worker is known, unless the row says otherwise. */
export const LEASE: readonly Row[] = [
  ['.worker', { worker: 'w' }, /^one of workerId, types, /, '"worker"'],
  ['.workerId', { workerId: '' }, TEXT, '""'],
  ['.workerId', { workerId: undefined }, TEXT, 'undefined'],
  ['.types', { types: 5 }, TEXTS, '5'],
  ['.types', { types: ['a', null] }, TEXTS, 'an array of 2'],
  ['.types', { types: [['a']] }, TEXTS, 'an array of 1'],
  ['.queues', { queues: null }, TEXTS, 'null'],
  ['.channels', { channels: { a: 1 } }, TEXTS, 'an object (a)'],
  ['.timeout', { timeout: -1 }, DURATION, '-1'],
  ['.timeout', { timeout: null }, DURATION, 'null'],
  ['.timeout', { timeout: Number.POSITIVE_INFINITY }, DURATION, 'Infinity'],
  ['.signal', { signal: {} }, /^an AbortSignal$/, 'an empty object'],
  ['.signal', { signal: null }, /^an AbortSignal$/, 'null'],
  ['.lease', { lease: 'x' }, DURATION, '"x"'],
  ['.lease', { lease: 999 }, /^a duration of at least 1 s$/, '999'],
  ['.lease', { lease: 0 }, /^a duration of at least 1 s$/, '0'],
]

const handle = (): void => {}

export const DEFINE: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.typ', { typ: 'x' }, /^one of type, /, '"typ"'],
  ['.type', { type: undefined }, TEXT, 'undefined'],
  ['.type', { type: '' }, TEXT, '""'],
  ['.type', { type: long }, TEXT, shownLong],
  ['.queue', { queue: 5 }, LABEL, '5'],
  ['.handle', { handle: 'run' }, /^a function$/, '"run"'],
  ['.handle', { handle: null }, /^a function$/, 'null'],
  ['.schema', { schema: {} }, /^a Standard Schema$/, 'an empty object'],
  ['.schema', { schema: handle }, /^a Standard Schema$/, 'function handle'],
  ['.nextRun', { nextRun: '1s' }, /^a function$/, '"1s"'],
  ['.onError', { onError: false }, /^a function$/, 'false'],
  ['.init', { init: true }, /^a function$/, 'true'],
  ['.before', { before: null }, /^a function$/, 'null'],
  ['.start', { start: [] }, /^a function$/, 'an array of 0'],
  ['.commit', { commit: 'log' }, /^a function$/, '"log"'],
  ['.upcast', { upcast: {} }, /^a function$/, 'an empty object'],
  ['.retryOn', { retryOn: 'all' }, /^"any" or "recoverable-only"$/, '"all"'],
  ['.requiredRole', { requiredRole: [] }, /^a role, or an array/, 'an array of 0'],
  ['.requiredRole[0]', { requiredRole: [''] }, TEXT, '""'],
  ['.rateLimit', { rateLimit: 100 }, /^an object$/, '100'],
  ['.rateLimit.limit', { rateLimit: { per: '1h' } }, /^an integer >= 1$/, 'undefined'],
  ['.rateLimit.limit', { rateLimit: { limit: 0, per: '1h' } }, /^an integer >= 1$/, '0'],
  ['.rateLimit.limit', { rateLimit: { limit: 1.5, per: '1h' } }, /^an integer >= 1$/, '1.5'],
  ['.rateLimit.per', { rateLimit: { limit: 1 } }, DURATION, 'undefined'],
  ['.rateLimit.per', { rateLimit: { limit: 1, per: '500ms' } }, /^a duration of at least 1 s$/, '"500ms"'],
  ['.rateLimit.every', { rateLimit: { limit: 1, per: '1h', every: 1 } }, /^one of limit, per$/, '"every"'],
  ['.concurrencyKey', { concurrencyKey: '' }, TEXT, '""'],
  ['.concurrencyKey', { concurrencyKey: null }, TEXT, 'null'],
  ['.concurrencyLimit', { concurrencyLimit: 0 }, /^an integer from 1 to 1000$/, '0'],
  ['.concurrencyLimit', { concurrencyLimit: 1_001 }, /^an integer from 1 to 1000$/, '1001'],
  ['.version', { version: 0 }, /^an integer >= 1$/, '0'],
  ['.version', { version: '2' }, /^an integer >= 1$/, '"2"'],
  ['.retain', { retain: -1 }, DURATION, '-1'],
  ...PRIORITY,
  ...SETTINGS,
]

export const QUEUES: readonly Row[] = [
  ['', 5, /^an object$/, '5'],
  ['.a', { a: null }, /^an object$/, 'null'],
  ['.a.concurency', { a: { concurency: 1 } }, /^one of maxAttempts/, '"concurency"'],
  ['.a.concurrency', { a: { concurrency: 0 } }, /^an integer >= 1$/, '0'],
  ['.a.concurrency', { a: { concurrency: null } }, /^an integer >= 1$/, 'null'],
  ...SETTINGS.map(([option, given, expected, received]): Row => [`.a${option}`, { a: given }, expected, received]),
]

export const RESCHEDULE: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['', {}, /^at least one of runAt, delay, priority, held$/, 'an empty object'],
  ['', { delay: undefined }, /^at least one of/, 'an object (delay)'],
  ['.queue', { queue: 'q' }, /^one of runAt/, '"queue"'],
  ['.held', { held: 'no' }, FLAG, '"no"'],
  ...PRIORITY,
  ...RUN_TIME,
]

export const REGISTER: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.id', { id: 'mine' }, /^one of name, types/, '"id"'],
  ['.name', { name: '' }, TEXT, '""'],
  ['.types', { types: [1] }, TEXTS, 'an array of 1'],
  ['.queues', { queues: 1 }, TEXTS, '1'],
  ['.channels', { channels: null }, TEXTS, 'null'],
  ['.arch', { arch: 64 }, TEXT, '64'],
  ['.concurrency', { concurrency: 0 }, /^an integer >= 1$/, '0'],
  ['.codeVersion', { codeVersion: '' }, TEXT, '""'],
  ['.pool', { pool: '' }, TEXT, '""'],
]

export const PAUSE: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.why', { why: 'x' }, /^one of reason, signal$/, '"why"'],
  ['.reason', { reason: '' }, TEXT, '""'],
  ['.signal', { signal: null }, /^an AbortSignal$/, 'null'],
]

export const WORKER_REMOVE: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.force', { force: true }, /^one of signal$/, '"force"'],
  ['.signal', { signal: {} }, /^an AbortSignal$/, 'an empty object'],
]

export const QUEUE_PAUSE: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.why', { why: 'x' }, /^one of reason, timeout, signal/, '"why"'],
  ['.reason', { reason: '' }, TEXT, '""'],
  ['.timeout', { timeout: 'a while' }, /^a duration/, '"a while"'],
  ['.signal', { signal: {} }, /^an AbortSignal$/, 'an empty object'],
]

export const QUEUE_STATS: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.types', { types: ['a'] }, /^one of type/, '"types"'],
  ['.type', { type: '' }, TEXT, '""'],
]

export const HEARTBEAT: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.note', { note: 'x' }, /^one of progress, partial$/, '"note"'],
  ['.progress', { progress: '50%' }, /^a finite number$/, '"50%"'],
  ['.progress', { progress: Number.NaN }, /^a finite number$/, 'NaN'],
  ['.progress', { progress: null }, /^a finite number$/, 'null'],
]

export const FAIL: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.retry', { retry: false }, /^one of retryable, retryAt$/, '"retry"'],
  ['.retryable', { retryable: 'no' }, FLAG, '"no"'],
  ['.retryAt', { retryAt: 'later' }, DURATION, '"later"'],
  ['.retryAt', { retryAt: new Date(Number.NaN) }, INSTANT, 'an invalid Date'],
]

const NAMES = /^an array of (queue|type|channel) names$/

/** What one pool may say: alone, or among several. The types `echo` and `build` are known, and only `echo` has a handler. */
export const POOL: readonly Row[] = [
  ['.size', { size: 5 }, /^one of queues, types, channels, concurrency/, '"size"'],
  ['.concurrency', { concurrency: 0 }, /^an integer from 1 to 10000$/, '0'],
  ['.concurrency', { concurrency: 10_001 }, /^an integer from 1 to 10000$/, '10001'],
  ['.concurrency', { concurrency: 1.5 }, /^an integer from 1 to 10000$/, '1.5'],
  ['.concurrency', { concurrency: '5' }, /^an integer from 1 to 10000$/, '"5"'],
  ['.concurrency', { concurrency: null }, /^an integer from 1 to 10000$/, 'null'],
  ...['queues', 'types', 'channels'].flatMap((key): Row[] => [
    [`.${key}`, { [key]: [] }, NAMES, 'an array of 0'],
    [`.${key}`, { [key]: 'echo' }, NAMES, '"echo"'],
    [`.${key}`, { [key]: ['echo', 1] }, NAMES, 'an array of 2'],
    [`.${key}`, { [key]: null }, NAMES, 'null'],
  ]),
  ['.types', { types: ['echo', 'ehco'] }, /^types that have a handler here \(echo\)$/, '"ehco"'],
  ['.types', { types: ['build'] }, /^types that have a handler here/, '"build"'],
  ['.perType', { perType: 5 }, /^an object of counts by type$/, '5'],
  ['.perType', { perType: null }, /^an object of counts by type$/, 'null'],
  ['.perType', { perType: ['echo'] }, /^an object of counts by type$/, 'an array of 1'],
  ['.perType', { perType: { ehco: 1 } }, /^types that have a handler here/, '"ehco"'],
  ['.perType.echo', { perType: { echo: -1 } }, /^an integer >= 0$/, '-1'],
  ['.perType.echo', { perType: { echo: '1' } }, /^an integer >= 0$/, '"1"'],
  ['.perType.echo', { perType: { echo: Number.POSITIVE_INFINITY } }, /^an integer >= 0$/, 'Infinity'],
  ['.batch', { batch: 0 }, /^an integer from 1 to 1000$/, '0'],
  ['.batch', { batch: 1_001 }, /^an integer from 1 to 1000$/, '1001'],
  ['.batch', { batch: null }, /^an integer from 1 to 1000$/, 'null'],
  ['.poll', { poll: 99 }, /^a duration of at least 100 ms$/, '99'],
  ['.poll', { poll: 'often' }, DURATION, '"often"'],
  ['.poll', { poll: null }, DURATION, 'null'],
  ['.strategy', { strategy: 'age' }, /^"priority" or "time"$/, '"age"'],
  ['.strategy', { strategy: null }, /^"priority" or "time"$/, 'null'],
  ['.ceilings', { ceilings: 3 }, /^an object$/, '3'],
  ['.ceilings', { ceilings: null }, /^an object$/, 'null'],
  ['.ceilings.attempts', { ceilings: { attempts: 3 } }, /^one of maxAttempts, timeout$/, '"attempts"'],
  ['.ceilings.maxAttempts', { ceilings: { maxAttempts: 0 } }, /^an integer >= 1$/, '0'],
  ['.ceilings.maxAttempts', { ceilings: { maxAttempts: null } }, /^an integer >= 1$/, 'null'],
  ['.ceilings.timeout', { ceilings: { timeout: 0 } }, /^a duration above 0/, '0'],
  ['.ceilings.timeout', { ceilings: { timeout: 'x' } }, DURATION, '"x"'],
  ['.lease', { lease: 999 }, /^a duration of at least 1 s$/, '999'],
  ['.lease', { lease: 'x' }, DURATION, '"x"'],
  ['.lease', { lease: null }, DURATION, 'null'],
]

export const START: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['', 5, /^an object$/, '5'],
  ['.name', { name: 'a' }, /^one of queues/, '"name"'],
  ['.report', { report: 999 }, /^a duration of at least 1 s, or null for none$/, '999'],
  ['.report', { report: 'daily' }, DURATION, '"daily"'],
  ['.pools', { pools: [] }, /^an array of at least one/, 'an array of 0'],
  ['.pools', { pools: null }, /^an array of at least one/, 'null'],
  ['.pools', { pools: { name: 'a' } }, /^an array of at least one/, 'an object (name)'],
  ['.concurrency', { pools: [{ name: 'a' }], concurrency: 5 }, /^absent where `pools` are given$/, '5'],
  ['.pools[1]', { pools: [{ name: 'a' }, null] }, /^an object$/, 'null'],
  ['.pools[0].name', { pools: [{}] }, TEXT, 'undefined'],
  ['.pools[0].name', { pools: [{ name: '' }] }, TEXT, '""'],
  ['.pools[1].name', { pools: [{ name: 'a' }, { name: long }] }, TEXT, shownLong],
  ['.pools[0].report', { pools: [{ name: 'a', report: '1m' }] }, /^one of queues/, '"report"'],
]

export const OVERRIDES: readonly Row[] = [
  ['', 5, /^an object by type$/, '5'],
  ['', null, /^an object by type$/, 'null'],
  ['', [], /^an object by type$/, 'an array of 0'],
  ['.echo', { echo: 3 }, /^an object$/, '3'],
  ['.echo.attempts', { echo: { attempts: 3 } }, /^one of concurrency, maxAttempts, timeout$/, '"attempts"'],
  ['.echo.concurrency', { echo: { concurrency: -1 } }, /^an integer >= 0$/, '-1'],
  ['.echo.concurrency', { echo: { concurrency: null } }, /^an integer >= 0$/, 'null'],
  ['.echo.maxAttempts', { echo: { maxAttempts: 0 } }, /^an integer >= 1, or null/, '0'],
  ['.echo.timeout', { echo: { timeout: 0 } }, /^a duration above 0, or null/, '0'],
]
