/** What callers may get wrong about a trigger; the rest of it is in order (see `GOOD`). */
import type { NewTrigger } from '../../runtime/triggers.js'
import type { Row } from './bad-input-tables.js'
import { tick } from './trigger-acts.js'

export const GOOD: NewTrigger = { kind: 'cron', when: '@daily', job: tick, payload: 1 }

const DURATION = /^a duration/
const INSTANT = /^an instant/
const CRON = /^a cron expression of 5 or 6 fields/
const PHRASE = /^a phrase such as /
const MASKS = /^rules type\[:VERB,VERB\[:value,value\[:selector\]\]\]/
const TEXT = /^a text of 1 to 200 characters/
const ZONE = /^an IANA time zone such as "Europe\/Berlin"$/
const absent = (kind: string): RegExp => new RegExp(`^absent for a trigger of kind ${kind}`)

const KIND: readonly Row[] = [
  [
    '.kind',
    { kind: undefined },
    /^one of cron, every, at, in, hourly, daily, weekly, monthly, event, webhook, client$/,
    'undefined',
  ],
  ['.kind', { kind: '@cron' }, /^one of cron, /, '"@cron"'],
  ['.kind', { kind: 'toString' }, /^one of cron, /, '"toString"'],
  ['.kind', { kind: 5 }, /^one of cron, /, '5'],
  ['.cron', { cron: '@daily' }, /^one of .*kind, when/, '"cron"'],
  ['.id', { id: '' }, TEXT, '""'],
  ['.id', { id: 7 }, TEXT, '7'],
  ['.id', { id: 'x'.repeat(201) }, TEXT, `"${'x'.repeat(57)}..."`],
]

const CRONS: readonly Row[] = [
  ...['', 'daily', '* * * *', '* * * * * * *', '60 * * * *', '0 24 * * *', '0 0 32 * *', '0 0 * 13 *', '0 0 * * 8'].map(
    (when): Row => ['.when', { when }, CRON, JSON.stringify(when)],
  ),
  ...['@reboot', '@dayly', '0 0 * * XYZ', '5-1 * * * *', '*/0 * * * *', '1,,2 * * * *', 'a * * * *'].map(
    (when): Row => ['.when', { when }, CRON, JSON.stringify(when)],
  ),
  // Days that never come.
  ...['0 0 30 2 *', '0 0 31 4,6,9,11 *'].map(
    (when): Row => ['.when', { when }, /^a cron expression that some day fits$/, JSON.stringify(when)],
  ),
  ['.when', { when: undefined }, CRON, 'undefined'],
  ['.when', { when: null }, CRON, 'null'],
  ['.when', { when: 60_000 }, CRON, '60000'],
  ['.when', { when: '@every' }, CRON, '"@every"'],
  ['.when', { when: '@every soon' }, DURATION, '"soon"'],
  ['.when', { when: '@every 0s' }, /^a duration above 0$/, '"0s"'],
  ['.timezone', { timezone: 'Berlin' }, ZONE, '"Berlin"'],
  ['.timezone', { timezone: '+02:00' }, ZONE, '"+02:00"'],
  ['.timezone', { timezone: '' }, ZONE, '""'],
  ['.timezone', { timezone: null }, ZONE, 'null'],
  ['.timezone', { when: '@every 1h', timezone: 'UTC' }, absent('cron with "@every"'), '"UTC"'],
]

const DURATIONS: readonly Row[] = ['every', 'in'].flatMap((kind): Row[] => [
  ['.when', { kind, when: undefined }, DURATION, 'undefined'],
  ['.when', { kind, when: null }, DURATION, 'null'],
  ['.when', { kind, when: '' }, DURATION, '""'],
  ['.when', { kind, when: 'soon' }, DURATION, '"soon"'],
  ['.when', { kind, when: '5 minutes' }, DURATION, '"5 minutes"'],
  ['.when', { kind, when: '-1s' }, DURATION, '"-1s"'],
  ['.when', { kind, when: -1 }, DURATION, '-1'],
  ['.when', { kind, when: Number.NaN }, DURATION, 'NaN'],
  ['.when', { kind, when: '20000000w' }, /^a duration that ends/, '"20000000w"'],
  ['.timezone', { kind, when: '1h', timezone: 'UTC' }, absent(kind), '"UTC"'],
])

const INSTANTS: readonly Row[] = [
  ...['tomorrow', '2026-01-01', '2026-01-01T00:00:00', '2026-02-30T00:00:00Z', ''].map(
    (when): Row => ['.when', { kind: 'at', when }, INSTANT, JSON.stringify(when)],
  ),
  ['.when', { kind: 'every', when: 0 }, /^a duration above 0$/, '0'],
  ['.when', { kind: 'at', when: undefined }, INSTANT, 'undefined'],
  ['.when', { kind: 'at', when: null }, INSTANT, 'null'],
  ['.when', { kind: 'at', when: -1 }, INSTANT, '-1'],
  ['.when', { kind: 'at', when: 8.65e15 }, INSTANT, '8650000000000000'],
  ['.when', { kind: 'at', when: new Date(Number.NaN) }, INSTANT, 'an invalid Date'],
  ['.timezone', { kind: 'at', when: 5, timezone: 'UTC' }, absent('at'), '"UTC"'],
  ['.late', { kind: 'at', when: 5, late: 'never' }, DURATION, '"never"'],
  ['.late', { kind: 'at', when: 5, late: null }, DURATION, 'null'],
  ['.late', { kind: 'in', when: 5, late: -1 }, DURATION, '-1'],
  ...['cron', 'daily'].map(
    (kind): Row => ['.late', { kind, when: kind === 'cron' ? '@daily' : '', late: '1h' }, absent(kind), '"1h"'],
  ),
]

const PHRASES: readonly Row[] = [
  ...['hourly', 'daily', 'weekly', 'monthly'].flatMap((kind): Row[] => [
    ['.when', { kind, when: '@daily' }, PHRASE, '"@daily"'],
    ['.when', { kind, when: null }, PHRASE, 'null'],
    ['.when', { kind, when: 5 }, PHRASE, '5'],
    ['.timezone', { kind, when: '', timezone: 'Mars/Olympus' }, ZONE, '"Mars/Olympus"'],
  ]),
]

const RULES: readonly Row[] = [
  ...['', ' ', ':CREATED', 'orders:', 'orders:created', 'orders:NOTIFY', 'orders:CREATED,', 'orders:CREATED:'].map(
    (when): Row => ['.when', { kind: 'event', when }, MASKS, JSON.stringify(when)],
  ),
  ...[
    'o*s',
    'orders:CREATED:a:',
    'orders:CREATED:a:b.',
    'orders:UPDATED:!=',
    'orders:UPDATED:a:b:c',
    'files orders::a',
  ].map((when): Row => ['.when', { kind: 'event', when }, MASKS, JSON.stringify(when)]),
  ['.when', { kind: 'event', when: undefined }, MASKS, 'undefined'],
  ['.when', { kind: 'event', when: 5 }, MASKS, '5'],
  ['.when', { kind: 'event', when: [] }, MASKS, 'an array of 0'],
  ['.when', { kind: 'event', when: [null] }, MASKS, 'null'],
  ['.when', { kind: 'event', when: [{ type: '' }] }, /a type is not empty/, 'an object (type)'],
  ['.when', { kind: 'event', when: [{ type: 'a', verbs: ['NOTIFY'] }] }, /three verbs$/, 'an object (type, verbs)'],
  ['.when', { kind: 'event', when: [{ type: 'a', values: [1] }] }, /a value is not empty$/, 'an object (type, values)'],
  [
    '.when',
    { kind: 'event', when: [{ type: 'a', selector: 'b' }] },
    /a selector needs values$/,
    'an object (type, selector)',
  ],
  ['.when', { kind: 'event', when: [{ type: 'a', verb: 'CREATED' }] }, /four parts$/, 'an object (type, verb)'],
  ['.timezone', { kind: 'event', when: 'a', timezone: 'UTC' }, absent('event'), '"UTC"'],
  ...['webhook', 'client'].flatMap((kind): Row[] => [
    ['.when', { kind, when: '@daily' }, absent(kind), '"@daily"'],
    ['.late', { kind, when: undefined, late: '1h' }, absent(kind), '"1h"'],
  ]),
]

const POLICIES: readonly Row[] = [
  ['.misfire', { misfire: 'none' }, /^"coalesce", "all" or "skip"$/, '"none"'],
  ['.misfire', { misfire: null }, /^"coalesce", "all" or "skip"$/, 'null'],
  ['.misfire', { misfire: 1 }, /^"coalesce", "all" or "skip"$/, '1'],
  ...(['at', 'in', 'event', 'webhook', 'client'] as const).map((kind): Row => {
    const when = { at: 5, in: 5, event: 'a', webhook: undefined, client: undefined }[kind]
    return ['.misfire', { kind, when, misfire: 'all' }, absent(kind), '"all"']
  }),
  ...(['at', 'in', 'client'] as const).map((kind): Row => {
    const when = kind === 'client' ? undefined : 5
    return ['.debounce', { kind, when, debounce: '1s' }, absent(kind), '"1s"']
  }),
  ['.debounce', { debounce: 'a while' }, DURATION, '"a while"'],
  ['.debounce', { debounce: null }, DURATION, 'null'],
  ['.debounce', { debounce: 0 }, /^a duration above 0, at most 24h$/, '0'],
  ['.debounce', { debounce: '25h' }, /^a duration above 0, at most 24h$/, '"25h"'],
  ['.debounce.window', { debounce: {} }, DURATION, 'undefined'],
  ['.debounce.window', { debounce: { window: '-1s' } }, DURATION, '"-1s"'],
  ['.debounce.window', { debounce: { window: 0 } }, /^a duration above 0, at most 24h$/, '0'],
  ['.debounce.combine', { debounce: { window: 5, combine: 'last' } }, /^"drop", "append" or "first"$/, '"last"'],
  ['.debounce.combine', { debounce: { window: 5, combine: null } }, /^"drop", "append" or "first"$/, 'null'],
  ['.debounce.combine', { debounce: { window: 5, combine: 'append' } }, /^"drop" or "first"/, '"append"'],
  ['.debounce.mode', { debounce: { window: 5, mode: 'first' } }, /^one of window, combine$/, '"mode"'],
]

const JOBS: readonly Row[] = [
  ['.job', { job: undefined }, /^made by defineJob\(\)$/, 'undefined'],
  ['.job', { job: 'tick' }, /^made by defineJob\(\)$/, '"tick"'],
  ['.options', { options: null }, /^an object$/, 'null'],
  ['.options', { options: 5 }, /^an object$/, '5'],
  ...['id', 'runAt', 'dependsOn', 'manual'].map(
    (key): Row => [`.options.${key}`, { options: { [key]: undefined } }, /^one of queue, channel, name, /, `"${key}"`],
  ),
  ['.options.prio', { options: { prio: 1 } }, /^one of queue, channel, /, '"prio"'],
  ['.options.queue', { options: { queue: 5 } }, /^a text of at most 200/, '5'],
  ['.options.priority', { options: { priority: 'High' } }, /^an integer \(lower first\)/, '"High"'],
  ['.options.delay', { options: { delay: 'soon' } }, DURATION, '"soon"'],
  ['.options.maxAttempts', { options: { maxAttempts: 0 } }, /^an integer >= 1/, '0'],
  ['.options.backoff.mni', { options: { backoff: { mni: 1 } } }, /^one of min, max/, '"mni"'],
  ['.options.unique.key', { options: { unique: { key: '' } } }, TEXT, '""'],
  ['.options.unique.scope', { options: { unique: { scope: 'name' } } }, /^one of type, queue/, '"name"'],
  ['.options.concurrencyKey', { options: { concurrencyKey: '' } }, TEXT, '""'],
  ['.options.concurrencyLimit', { options: { concurrencyLimit: 2 } }, /^absent where there is no/, '2'],
  [
    '.options.concurrencyLimit',
    { options: { concurrencyKey: 'k', concurrencyLimit: 0 } },
    /^an integer from 1 to 1000$/,
    '0',
  ],
  ['.options.retain', { options: { retain: 0 } }, /^a duration above 0/, '0'],
  ['.options.trace', { options: { trace: 'x' } }, /^an object$/, '"x"'],
  ['.options.user', { options: { user: '' } }, TEXT, '""'],
]

export const TRIGGER: readonly Row[] = [
  ...[...KIND, ...CRONS, ...DURATIONS, ...INSTANTS, ...PHRASES, ...RULES, ...POLICIES, ...JOBS],
]

/** Missing, and what JSON cannot say. */
export const PAYLOADS: readonly (readonly [given: unknown, received: string])[] = [
  [undefined, 'undefined'],
  [() => {}, 'function'],
  [5n, '5n'],
  [Symbol('x'), 'Symbol(x)'],
]

export const PUBLISH: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.kind', { kind: 'x' }, /^one of type, verb, /, '"kind"'],
  ['.type', { type: undefined }, TEXT, 'undefined'],
  ['.type', { type: '' }, TEXT, '""'],
  ['.type', { type: 'job/tick' }, /^a type that does not begin with job\/$/, '"job/tick"'],
  ['.verb', { verb: undefined }, TEXT, 'undefined'],
  ['.verb', { verb: 5 }, TEXT, '5'],
  ['.id', { id: '' }, TEXT, '""'],
  ['.within', { within: 'root' }, /^an array of texts$/, '"root"'],
  ['.within', { within: ['root', 5] }, /^an array of texts$/, 'an array of 2'],
  ['.channel', { channel: null }, /^a text of at most 200/, 'null'],
  ['.key', { key: '' }, TEXT, '""'],
  ['.document', { document: new Uint8Array(2) }, /^JSON, no bytes$/, 'an object (0, 1)'],
]

export const LIST: readonly Row[] = [
  ['', null, /^an object$/, 'null'],
  ['.types', { types: 'a' }, /^one of kind, type, channel, status$/, '"types"'],
  ['.kind', { kind: 'crons' }, /^one of cron, every/, '"crons"'],
  ['.kind', { kind: ['cron', 5] }, /^a text or an array of texts$/, 'an array of 2'],
  ['.type', { type: 5 }, /^a text or an array of texts$/, '5'],
  ['.channel', { channel: null }, /^a text or an array of texts$/, 'null'],
  ['.status', { status: 'removed' }, /^"active" or "paused"$/, '"removed"'],
]
