/** Bytes of streams. The server does not know them: a few streams are read one by one, many in one walk through the log. */
import type { Connection } from './connection.js'
import type { Reader } from './reader.js'
import { type Recorded, streamOf, textOf } from './records.js'
import { logRead, streamRead } from './requests.js'

/** Streams above which the log is walked through instead. */
const ONE_BY_ONE = 200

export async function sizesOf(connection: Connection, reader: Reader, streams: readonly string[]): Promise<number[]> {
  connection.checkOpen()
  const names = new Set(streams.filter((stream) => stream !== ''))
  const sizes = names.size <= ONE_BY_ONE ? await eachRead(reader, names) : await walk(reader, names)
  return streams.map((stream) => sizes.get(stream) ?? 0)
}

async function eachRead(reader: Reader, names: ReadonlySet<string>): Promise<Map<string, number>> {
  const read = async (stream: string): Promise<[string, number]> => {
    let size = 0
    for await (const page of reader.decoded(streamRead({ name: reader.prefix + stream }), false, stream))
      for (const { bytes } of page) size += bytes
    return [stream, size]
  }
  return new Map(await Promise.all([...names].map(read)))
}

async function walk(reader: Reader, names: ReadonlySet<string>): Promise<Map<string, number>> {
  const found = new Map<string, { readonly revision: number; readonly bytes: number }[]>()
  const { prefix } = reader
  for await (const records of reader.records(logRead({ prefix, system: true }, reader.startAt('')))) {
    for (const record of records) {
      const before = hiddenBefore(record, prefix)
      const event = before === undefined ? reader.decode(record, false) : undefined
      if (before !== undefined && names.has(before.stream)) {
        found.set(
          before.stream,
          (found.get(before.stream) ?? []).filter(({ revision }) => revision >= before.revision),
        )
      } else if (event !== undefined && names.has(event.event.stream)) {
        const { stream, revision } = event.event
        const kept = found.get(stream)
        if (kept === undefined) found.set(stream, [{ revision, bytes: event.bytes }])
        else kept.push({ revision, bytes: event.bytes })
      }
    }
  }
  return new Map([...found].map(([stream, kept]) => [stream, kept.reduce((sum, { bytes }) => sum + bytes, 0)]))
}

/** What the server's own events hide: a tombstone everything, metadata what is before a revision. */
function hiddenBefore(record: Recorded, prefix: string): { stream: string; revision: number } | undefined {
  const type = record.getMetadataMap().get('type') ?? ''
  const name = streamOf(record)
  if (type === '$streamDeleted') return { stream: name.slice(prefix.length), revision: Number.POSITIVE_INFINITY }
  if (!name.startsWith(`$$${prefix}`)) return undefined
  return { stream: name.slice(prefix.length + 2), revision: truncatedBefore(textOf(record.getData_asU8())) }
}

/** Of the text of a stream's metadata. */
export function truncatedBefore(metadata: string): number {
  const { $tb } = JSON.parse(metadata) as { readonly $tb?: unknown }
  return typeof $tb === 'number' ? $tb : 0
}
