import { tracingChannel } from 'node:diagnostics_channel'
import t from 'tap'
import { channelName, type OperationMessage } from '../../src/telemetry/channels.js'
import { bodyOf, callerOf, codeOf, draftOf, engineOn } from '../support/engine.js'

const caller = callerOf()

t.test('who listens to the channel of an operation hears of its start, its end and its error, in one object', async t => {
  const engine = engineOn()
  const heard: string[] = []
  const messages = new Set<OperationMessage>()
  const hear = (event: string) => (message: OperationMessage): void => {
    heard.push(`${event} ${message.operation}`)
    messages.add(message)
  }
  const [create, write] = (['create', 'write'] as const).map(name => tracingChannel<unknown, OperationMessage>(channelName(name)))
  if (create === undefined || write === undefined) throw new Error('they are there')
  const subscribers = { start: hear('start'), end: () => {}, asyncStart: () => {}, asyncEnd: hear('end'), error: hear('error') }
  create.subscribe(subscribers)
  write.subscribe(subscribers)
  const upload = await engine.create(caller, draftOf())
  const written = await engine.write(caller, upload.id, { start: 0, body: bodyOf(Buffer.from('hello')) })
  t.equal(await codeOf(engine.write(caller, upload.id, { start: 9, body: bodyOf(Buffer.from('hello')) })), 'OFFSET')
  t.strictSame(heard, ['start create', 'end create', 'start write', 'end write', 'start write', 'error write', 'end write'])
  const [made, first, second] = messages
  t.equal(messages.size, 3)
  t.strictSame([made?.id, made?.result], [undefined, upload])
  t.strictSame([first?.id, first?.result], [upload.id, written])
  t.match(second, { id: upload.id, error: { code: 'FST_CHUNKED_UPLOAD_OFFSET' } })

  create.unsubscribe(subscribers)
  write.unsubscribe(subscribers)
  await engine.create(caller, draftOf())
  t.equal(heard.length, 7, 'and nothing after it has left')
})

t.test('what a listener throws does not touch the upload', async t => {
  const engine = engineOn()
  const channel = tracingChannel<unknown, OperationMessage>(channelName('remove'))
  const fail = (): void => { throw new Error('a listener') }
  const subscribers = { start: fail, end: fail, asyncStart: fail, asyncEnd: fail, error: fail }
  const thrown: unknown[] = []
  const onThrown = (error: unknown): void => { thrown.push(error) }
  process.on('uncaughtException', onThrown)
  t.teardown(() => { process.off('uncaughtException', onThrown) })
  channel.subscribe(subscribers)
  const { id } = await engine.create(caller, draftOf())
  await engine.remove(caller, id)
  channel.unsubscribe(subscribers)
  t.equal(await codeOf(engine.get(caller, id)), 'NOT_FOUND')
  await new Promise(resolve => { setImmediate(resolve) })
  t.match(thrown[0], { message: 'a listener' })
})
