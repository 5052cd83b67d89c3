import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { ShuttingDown } from '../../errors.js'
import { type Upload, mayExpire, offsetOf } from '../../upload.js'
import type { Context } from '../context.js'
import type { Caller, CompletionReply } from '../contract.js'
import { Mount } from '../mount.js'
import { Concatenations } from './finals.js'
import type { TusSettings } from './options.js'

/** A request to a mount of tus. */
export type TusContext = Context<TusMount>

/** One mount of tus: what its verbs share. */
export class TusMount extends Mount<TusSettings> {
  readonly finals: Concatenations

  constructor ({ parts }: Mount<TusSettings>) {
    super(parts)
    this.finals = new Concatenations(this.engine, this.settings)
  }

  override async caller (request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const caller = await super.caller(request, reply)
    this.finals.adopt(caller, logTo(request.log))
    return caller
  }

  /** Takes up final uploads that an earlier run of the server has left. */
  recover (logger: FastifyBaseLogger): void {
    const log = logTo(logger)
    this.finals.recover(this.own, this.settings.asksHost ?? false, log).catch((error: unknown) => {
      if (!this.engine.stopping) log(error, '')
    })
  }

  /** Upload-Expires, as long as the upload may expire (tus 1.0.0, expiration): a partial one even when it is complete. */
  setExpires (reply: FastifyReply, upload: Upload): void {
    if (!this.settings.extensions.has('expiration') || !mayExpire(upload) || upload.expiresAt === null) return
    reply.header('upload-expires', new Date(upload.expiresAt).toUTCString())
  }
}

/** For a concatenation that goes wrong where its own client does not hear of it. */
export function logOf ({ request }: TusContext): (error: unknown, upload: string) => void {
  return logTo(request.log)
}

function logTo (logger: FastifyBaseLogger): (error: unknown, upload: string) => void {
  return (error, upload) => {
    const refused = error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' && error.statusCode < 500
    logger[refused || error instanceof ShuttingDown ? 'info' : 'error']({ err: error, upload }, 'a concatenation failed')
  }
}

/** The offset of a reply: what is stored, or where the client is to send some of it again. */
export function setOffset (reply: FastifyReply, upload: Upload, again?: number): void {
  reply.header('upload-offset', String(again ?? (upload.status === 'complete' ? upload.size : offsetOf(upload))))
}

/** Answers as the protocol does, unless the host's `onComplete` wants it otherwise. */
export function send (reply: FastifyReply, statusCode: number, wish: CompletionReply | undefined): FastifyReply {
  const code = wish?.statusCode ?? (wish?.body !== undefined && statusCode === 204 ? 200 : statusCode)
  return reply.code(code).headers(wish?.headers ?? {}).send(wish?.body)
}
