/** A command that waits in the inbox, with the one who asked. */
export interface Waiting {
  readonly streams: readonly string[]
}

/** Commands that share a stream, directly or through others, in the order they came: they are appended together. */
export interface SharedFate<C extends Waiting> {
  commands: C[]
  streams: Set<string>
}

/**
 * Splits an inbox into groups that share no stream. Order within a group is the order of the inbox.
 * One pass; where a command ties two groups together the smaller is poured into the larger.
 */
export function shareFate<C extends Waiting>(inbox: readonly C[]): SharedFate<C>[] {
  return aloneEach(inbox) ?? united(inbox)
}

/** Most flushes are leases and ends of different jobs: nothing to unite. Undefined if there is. */
function aloneEach<C extends Waiting>(inbox: readonly C[]): SharedFate<C>[] | undefined {
  const seen = new Set<string>()
  for (const { streams } of inbox) {
    if (streams.length !== 1) return undefined
    seen.add(streams[0] as string)
  }
  if (seen.size < inbox.length) return undefined
  return inbox.map((command) => ({ commands: [command], streams: new Set(command.streams) }))
}

function united<C extends Waiting>(inbox: readonly C[]): SharedFate<C>[] {
  const home = new Map<string, SharedFate<C>>()
  const groups = new Set<SharedFate<C>>()
  const merged = new Set<SharedFate<C>>()
  for (const command of inbox) {
    let group: SharedFate<C> | undefined
    for (const stream of command.streams) {
      const other = home.get(stream)
      if (other === undefined || other === group) continue
      if (group === undefined) group = other
      else {
        const [small, large] = group.streams.size < other.streams.size ? [group, other] : [other, group]
        pour(small, large, home)
        groups.delete(small)
        merged.add(large)
        group = large
      }
    }
    if (group === undefined) {
      group = { commands: [], streams: new Set() }
      groups.add(group)
    }
    group.commands.push(command)
    for (const stream of command.streams) {
      group.streams.add(stream)
      home.set(stream, group)
    }
  }
  if (merged.size > 0) restoreOrder(inbox, merged)
  return [...groups]
}

function pour<C extends Waiting>(from: SharedFate<C>, into: SharedFate<C>, home: Map<string, SharedFate<C>>): void {
  for (const command of from.commands) into.commands.push(command)
  for (const stream of from.streams) {
    into.streams.add(stream)
    home.set(stream, into)
  }
}

function restoreOrder<C extends Waiting>(inbox: readonly C[], groups: Iterable<SharedFate<C>>): void {
  const place = new Map(inbox.map((command, index) => [command, index]))
  const byPlace = (a: C, b: C): number => (place.get(a) as number) - (place.get(b) as number)
  for (const group of groups) group.commands.sort(byPlace)
}
