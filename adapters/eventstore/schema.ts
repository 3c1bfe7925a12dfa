/** What a log of ours is in the server: a stream of its own says so, and readers do not see it. */

/** After the ledger's prefix. */
export const LOG_STREAM = 'jobledger-log'

export const LOG_CREATED = 'LogCreated'

/** Of how events are kept. A newer jobledger may raise it; an older one then refuses the log. */
export const FORMAT = 1

/** Older servers do not say when a subscription has caught up. */
export const OLDEST_SERVER: readonly [major: number, minor: number] = [23, 10]
