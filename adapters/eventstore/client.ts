/**
 * The vendor's client, of which connecting, discovery, TLS and credentials are used, and its generated protocol. Appends and
 * reads are calls of our own on it: the client's append keeps what it waits for in a table that all clients of a process
 * share, and loses promises when a stream ends (docs/adr/0019).
 */
import { ANY, EventStoreDBClient } from '@eventstore/db-client'
import { ServerFeaturesClient } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js'
import shared from '@eventstore/db-client/generated/shared_pb.js'
import { StreamsClient } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js'
import type { Target } from './url.js'

export type AppendCall = ReturnType<StreamsClient['batchAppend']>
export type ReadCall = ReturnType<StreamsClient['read']>

/** An answer that does not come within it, from a server that should have it at hand, will not come (ms). */
export const ANSWER_MS = 8_000

type Settings = ConstructorParameters<typeof EventStoreDBClient>[0]

export class LedgerClient extends EventStoreDBClient {
  constructor({ endpoints, discover, tls, certificates, credentials, options }: Target) {
    const [first] = endpoints
    const place = discover
      ? { discover: first }
      : endpoints.length > 1
        ? { endpoints: [...endpoints] }
        : { endpoint: first }
    const settings = { ...options, ...place, defaultDeadline: ANSWER_MS } as Settings
    super(settings, { insecure: !tls, ...certificates }, credentials)
    // Nobody waits for it, and it fails when the cluster cannot be found.
    const { handleError } = this
    this.handleError = async (client, error) => handleError(client, error).catch(() => {})
  }

  /** A stream on which appends are sent and answered in any number. */
  openAppends(): Promise<AppendCall> {
    const [metadata, options] = this.callArguments({ requiresLeader: true }, { deadline: Number.POSITIVE_INFINITY })
    return this.GRPCStreamCreator(StreamsClient, 'batchAppend', (client) => client.batchAppend(metadata, options))()
  }

  openRead(request: ReadReq): Promise<ReadCall> {
    const [metadata, options] = this.callArguments({ requiresLeader: true }, { deadline: Number.POSITIVE_INFINITY })
    return this.GRPCStreamCreator(StreamsClient, 'read', (client) => client.read(request, metadata, options))()
  }

  /** The server's version, like `24.6.0.0`. */
  version(): Promise<string> {
    const [metadata, options] = this.callArguments({})
    const ask = (client: ServerFeaturesClient): Promise<string> =>
      new Promise((resolve, reject) => {
        client.getSupportedMethods(new shared.Empty(), metadata, options, (error, answer) =>
          error === null ? resolve(answer.getEventStoreServerVersion()) : reject(error),
        )
      })
    return this.execute(ServerFeaturesClient, 'getSupportedMethods', ask)
  }

  /** For ever, whether there is such a stream or not. */
  async bury(stream: string): Promise<void> {
    await this.tombstoneStream(stream, { expectedRevision: ANY, requiresLeader: true })
  }

  async hangUp(): Promise<void> {
    await this.dispose()
    const channel = await this.getChannel()
    channel.close()
  }
}
