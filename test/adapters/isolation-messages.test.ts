/** What passes between a ledger and its child processes: errors that mean the same on both sides, and printed lines. */
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { onLines } from '../../adapters/node/isolation/lines.js'
import { fromSent, toSent } from '../../adapters/node/isolation/sent-errors.js'
import { InvalidOption, InvalidPayload } from '../../domain/errors.js'
import { LeaseLost } from '../../domain/rejection.js'
import { JobCancelled, ShuttingDown, Timeout } from '../../runtime/errors.js'
import { Abort, BadTrigger, Fatal, Recoverable, RetryAt } from '../../runtime/work/run/handler-errors.js'

/** There and back, as the channel between the processes does it. */
const sent = (thrown: unknown): unknown => fromSent(structuredClone(toSent(thrown)))

describe('an error that is sent', () => {
  const ours = [
    new Fatal('a'),
    new Recoverable('b'),
    new RetryAt('5m'),
    new RetryAt(new Date(1e12)),
    new Abort('c'),
    new BadTrigger('d'),
    new JobCancelled('id', 'why'),
    new LeaseLost('id', 'token'),
    new Timeout('id', 5),
    new ShuttingDown(),
    new InvalidOption('a.b', 'x', 1),
    new InvalidPayload('a.b', 'x', 1),
  ]
  it.each(ours.map((error) => [error.name, error] as const))('of ours is the same: %s', (_, error) => {
    const arrived = sent(error) as Error
    expect(arrived).toBeInstanceOf(error.constructor)
    expect({ ...arrived }).toEqual({ ...error })
    expect([arrived.name, arrived.message, arrived.stack]).toEqual([error.name, error.message, error.stack])
  })

  it('keeps the name of a class that extends one of ours', () => {
    class CardRefused extends Fatal {
      readonly card = 'visa'
    }
    const arrived = sent(new CardRefused('no', { cause: new TypeError('deeper') }))
    expect(arrived).toBeInstanceOf(Fatal)
    expect(arrived).toMatchObject({
      name: 'CardRefused',
      card: 'visa',
      cause: { name: 'TypeError', message: 'deeper' },
    })
  })

  it('is not ours because its code looks like it', () => {
    const foreign = Object.assign(new Error('aborted'), { code: 'ABORT' })
    expect(sent(foreign)).not.toBeInstanceOf(Abort)
    expect(sent(foreign)).toMatchObject({ code: 'ABORT' })
  })

  it.each([undefined, null, 'text', 0, 10n])('may be no error at all: %s', (thrown) => {
    expect(sent(thrown)).toBe(thrown)
  })

  it('may be anything that cannot be sent, or not even looked at', () => {
    const revoked = Proxy.revocable({}, {})
    revoked.revoke()
    const hostile = Object.defineProperty(new Error('x'), 'message', {
      get() {
        throw new Error('no')
      },
    })
    const circular = new Error('round')
    circular.cause = circular
    const things = [
      Symbol('s'),
      () => {},
      { call() {} },
      revoked.proxy,
      hostile,
      Object.assign(new Error('y'), { on() {} }),
    ]
    for (const thing of things) expect(() => sent(thing)).not.toThrow()
    expect(sent(circular)).toMatchObject({ cause: { cause: { message: 'round' } } })
    expect((sent(new Error('x'.repeat(100_000))) as Error).message).toHaveLength(65_536)
  })
})

describe('what a process prints', () => {
  async function lines(...chunks: (string | Buffer)[]): Promise<string[]> {
    const stream = new PassThrough()
    const told: string[] = []
    onLines(stream, (line) => told.push(line))
    for (const chunk of chunks) stream.write(chunk)
    stream.end()
    await new Promise((resolve) => stream.on('close', resolve))
    return told
  }

  it('comes line by line, however it was written', async () => {
    expect(await lines('a\nb', 'c\n', '\nlast')).toEqual(['a', 'bc', '', 'last'])
    const [euro] = [Buffer.from('€\n')]
    expect(await lines(euro.subarray(0, 1), euro.subarray(1))).toEqual(['€'])
  })

  it('comes in pieces where a line has no end', async () => {
    const told = await lines('x'.repeat(10_000), 'y'.repeat(10_000))
    expect(told.map((piece) => piece.length)).toEqual([8_192, 8_192, 3_616])
  })

  it('loses nothing of a long line that ends', async () => {
    expect((await lines(`a\n${'x'.repeat(20_000)}\nz`)).map((piece) => piece.length)).toEqual([
      1, 8_192, 8_192, 3_616, 1,
    ])
  })
})
