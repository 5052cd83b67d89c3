import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller, ScratchUploads } from '../../engine/index.js'
import { UserRequired } from '../../errors.js'
import type { Upload } from '../../upload.js'
import type { Uploads } from '../contract.js'
import type { Joins } from './joins.js'

/** One registration of the protocol: its options with their defaults. */
export interface Mount {
  readonly uploads: Uploads
  /** What the videos have where clips are joined. */
  readonly contents: ScratchUploads
  readonly joins: Joins | undefined
  readonly expirationDelta: number | null
  readonly contentType: string
  readonly filename: (id: number) => string
}

/** @throws {UserRequired} */
export async function callerOf ({ uploads }: Mount, request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
  const caller = await uploads.caller(request, reply)
  if (uploads.settings.requireUser && caller.user === null) throw new UserRequired()
  return caller
}

export type Video = Upload & { readonly serial: number }

/** The video that the URL names. @throws {UploadNotFound} {@link UserRequired} */
export async function videoOf (mount: Mount, caller: Caller, request: FastifyRequest): Promise<Video> {
  const { id } = Object(request.params)
  const serial = typeof id === 'string' && /^\d{1,15}$/.test(id) ? Number(id) : 0
  return { ...await mount.uploads.engine.getBySerial(caller, serial), serial }
}
