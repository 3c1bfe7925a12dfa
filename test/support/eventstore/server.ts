/**
 * An EventStoreDB of our own for tests: the protocol on a loopback port, a log in memory behind it, and faults on demand. It
 * shows what a client does, not what a real server does: the same suites run against one where there is one.
 */

import { GossipService } from '@eventstore/db-client/generated/gossip_grpc_pb.js'
import clusters from '@eventstore/db-client/generated/gossip_pb.js'
import { ServerFeaturesService } from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js'
import features from '@eventstore/db-client/generated/serverfeatures_pb.js'
import { StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb.js'
import streams from '@eventstore/db-client/generated/streams_pb.js'
import {
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { isDenied, serveAppend, serveBatch } from './appends.js'
import { type Faults, noFaults } from './faults.js'
import { FakeLog } from './log.js'
import { accessDenied, expectedBy, nameOf, type Refusal, refusal } from './messages.js'
import { type ReadCall, serveRead } from './reads.js'
import { FakeSubscription } from './subscription.js'
import { Wire } from './wire.js'

export interface FakeOptions {
  /** Default: any free one. */
  readonly port?: number
  /** PEM. Default: no TLS. */
  readonly tls?: { readonly key: Buffer; readonly certificate: Buffer }
}

type Method = 'delete' | 'tombstone'

export class FakeEventStore {
  readonly faults: Faults = noFaults()
  readonly log: FakeLog = new FakeLog()
  readonly #server = new Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 })
  readonly #secure: boolean
  #wire: Wire | undefined

  static async start({ port = 0, tls }: FakeOptions = {}): Promise<FakeEventStore> {
    const fake = new FakeEventStore(tls !== undefined)
    await fake.#listen(port, tls)
    return fake
  }

  private constructor(secure: boolean) {
    this.#secure = secure
    this.#server.addService(StreamsService as never, this.#guarded(this.#streams()))
    this.#server.addService(ServerFeaturesService as never, this.#guarded(this.#features()))
    this.#server.addService(GossipService as never, this.#gossip())
  }

  /** Where clients reach it. */
  get wire(): Wire {
    if (this.#wire === undefined) throw new Error('The fake is not started.')
    return this.#wire
  }

  /** `extra`: more of the query, like `prefix=a`. */
  url(extra = ''): string {
    return `esdb://127.0.0.1:${this.wire.port}?tls=${this.#secure}${extra === '' ? '' : `&${extra}`}`
  }

  /** Drops every connection and refuses new ones; the log is kept. */
  kill(): Promise<void> {
    return this.wire.shut()
  }

  /** After `kill`: at the same port, with the same log. */
  restart(): Promise<void> {
    return this.wire.open()
  }

  async stop(): Promise<void> {
    await this.#wire?.shut()
    this.#server.forceShutdown()
  }

  async #listen(port: number, tls: FakeOptions['tls']): Promise<void> {
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(null, [{ private_key: tls.key, cert_chain: tls.certificate }])
    const inner = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)))
    })
    this.#wire = new Wire(inner)
    await this.#wire.open(port)
  }

  #streams(): UntypedServiceImplementation {
    const { log, faults } = this
    return {
      batchAppend: (call: Parameters<typeof serveBatch>[2]) => serveBatch(log, faults, call),
      append: (call: Parameters<typeof serveAppend>[2], answer: Parameters<typeof serveAppend>[3]) =>
        serveAppend(log, faults, call, answer),
      read: (call: ReadCall) =>
        serveRead(log, faults, call, (options) => new FakeSubscription(log, options, call).run()),
      delete: (call: DeleteCall, answer: DeleteAnswer) => this.#delete('delete', call, answer),
      tombstone: (call: DeleteCall, answer: DeleteAnswer) => this.#delete('tombstone', call, answer),
    }
  }

  #delete(method: Method, call: DeleteCall, answer: DeleteAnswer): void {
    const options = call.request.getOptions()
    const stream = nameOf(options?.getStreamIdentifier())
    if (isDenied(this.faults, stream)) return answer(accessDenied())
    if (options === undefined) return answer(refusal(status.INVALID_ARGUMENT, 'Options are missing'))
    if (this.faults.busy > 0) {
      this.faults.busy -= 1
      return answer(refusal(status.ABORTED, 'Operation timed out: Commit phase timeout.'))
    }
    const expected = expectedBy(options, options.getRevision())
    const outcome = this.log.delete(stream, expected, method === 'tombstone')
    const extra = { 'stream-name': stream }
    if (outcome.kind === 'deleted') {
      return answer(refusal(status.FAILED_PRECONDITION, 'Deleted', { exception: 'stream-deleted', ...extra }))
    }
    if (outcome.kind === 'wrong') {
      const versions = { 'expected-version': String(expected), 'actual-version': String(outcome.current) }
      const trailers = { exception: 'wrong-expected-version', ...extra, ...versions }
      return answer(refusal(status.FAILED_PRECONDITION, 'Delete failed due to WrongExpectedVersion', trailers))
    }
    answer(null, method === 'delete' ? new streams.DeleteResp() : new streams.TombstoneResp())
  }

  #features(): UntypedServiceImplementation {
    return {
      getSupportedMethods: (_: unknown, answer: sendUnaryData<features.SupportedMethods>): void => {
        if (!this.faults.features) return answer(refusal(status.UNIMPLEMENTED, 'Unknown service'))
        const methods = ['batchappend', 'append', 'read', 'delete', 'tombstone'].map((name) =>
          new features.SupportedMethod().setServiceName('event_store.client.streams.streams').setMethodName(name),
        )
        const supported = new features.SupportedMethods().setEventStoreServerVersion(this.faults.version)
        answer(null, supported.setMethodsList(methods))
      },
    }
  }

  #gossip(): UntypedServiceImplementation {
    return {
      read: (_: unknown, answer: sendUnaryData<clusters.ClusterInfo>): void => {
        const place = new clusters.EndPoint().setAddress('127.0.0.1').setPort(this.wire.port)
        const member = new clusters.MemberInfo()
          .setState(clusters.MemberInfo.VNodeState.LEADER)
          .setIsAlive(true)
          .setHttpEndPoint(place)
        answer(null, new clusters.ClusterInfo().setMembersList([member]))
      },
    }
  }

  /** Whoever is not known is let in nowhere, where accounts are asked for. */
  #guarded(methods: UntypedServiceImplementation): UntypedServiceImplementation {
    const guarded = Object.entries(methods).map(([name, serve]) => [
      name,
      (call: Call, answer?: sendUnaryData<unknown>): void => {
        const error = this.#strange(call)
        if (error === undefined) (serve as (...all: unknown[]) => void)(call, answer)
        else if (answer === undefined) call.emit('error', error)
        else answer(error)
      },
    ])
    return Object.fromEntries(guarded) as UntypedServiceImplementation
  }

  #strange({ metadata }: Call): Refusal | undefined {
    const { account } = this.faults
    if (account === undefined) return undefined
    const known = `Basic ${Buffer.from(`${account.user}:${account.password}`).toString('base64')}`
    return metadata.get('authorization')[0] === known ? undefined : refusal(status.UNAUTHENTICATED, 'Unauthenticated')
  }
}

interface Call {
  readonly metadata: { get(key: string): unknown[] }
  emit(event: 'error', error: Refusal): unknown
}

type DeleteCall = ServerUnaryCall<streams.DeleteReq | streams.TombstoneReq, streams.DeleteResp | streams.TombstoneResp>
type DeleteAnswer = sendUnaryData<streams.DeleteResp | streams.TombstoneResp>
