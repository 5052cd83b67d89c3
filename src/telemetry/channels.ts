import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'

/** What the engine does for a request or the host. Each has a channel. */
export const operations = [
  'create', 'write', 'complete', 'concat', 'replace', 'amend', 'update', 'remove', 'forget', 'spool', 'open', 'checksum', 'expire', 'purge'
] as const

export type Operation = typeof operations[number]

/** The messages of an operation: one object from its start to its end. After the end `result` or `error` is in it. */
export interface OperationMessage {
  readonly operation: Operation
  /** The upload; undefined where there is none yet, or there are many. */
  readonly id: string | undefined
  readonly result?: unknown
  readonly error?: unknown
}

export type OperationChannels = Readonly<Record<Operation, TracingChannel<unknown, OperationMessage>>>

/** As `tracingChannel` of node:diagnostics_channel takes it, such as `fastify-chunked-upload:write`. */
export function channelName (operation: Operation): string {
  return `fastify-chunked-upload:${operation}`
}

export function operationChannels (): OperationChannels {
  const channelOf = (operation: Operation): OperationChannels[Operation] => tracingChannel(channelName(operation))
  return {
    create: channelOf('create'),
    write: channelOf('write'),
    complete: channelOf('complete'),
    concat: channelOf('concat'),
    replace: channelOf('replace'),
    amend: channelOf('amend'),
    update: channelOf('update'),
    remove: channelOf('remove'),
    forget: channelOf('forget'),
    spool: channelOf('spool'),
    open: channelOf('open'),
    checksum: channelOf('checksum'),
    expire: channelOf('expire'),
    purge: channelOf('purge')
  }
}
